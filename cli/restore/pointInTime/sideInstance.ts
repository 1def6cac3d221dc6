import { randomBytes } from "node:crypto";
import type { RecoveryPlan } from "../../../common/contracts/pointInTime.ts";
import { messageOf, Problem } from "../../../common/problem.ts";
import { Interrupted, lastLine, onInterrupt } from "../../../common/process.ts";
import type { Container } from "../../session/agentCall.ts";
import type { Screen } from "../../terminal/screen.ts";
import type { ServerModel } from "./databaseServer.ts";
import { INTERRUPTED, onHost, requireOnHost } from "./hostDocker.ts";

/** Label of everything that a recovery makes; its value is the recovery. */
export const LABEL = "kamal-postgres-backup.recovery";
/** Label of what `--keep` and `--volume` leave, so that no later recovery takes it away. */
const KEPT = "kamal-postgres-backup.recovery.keep";

/** Where the volumes are mounted, in the server and in the agent beside it. */
export const FOLDER = "/recovery";

/** Names of what a recovery makes. */
export interface Parts {
  readonly id: string;
  readonly server: string;
  readonly agent: string;
  /** The data folder of the server. */
  readonly data: string;
  /** WAL, socket and dump. */
  readonly work: string;
}

/** What is made on the host. */
export interface SidePlan {
  readonly session: { readonly container: Container; readonly screen: Screen };
  /** Service of Kamal, by which the parts are named. */
  readonly service: string;
  readonly server: ServerModel;
  readonly agentImage: string;
  /** Variables of the agent beside it, over those of the agent's own container. */
  readonly env: Readonly<Record<string, string>>;
  /** `server`: it and its volumes stay. `volume`: its data alone. */
  readonly keep: "server" | "volume" | "nothing";
}

/**
 * Makes volumes on the host and starts an agent that shares them, and takes everything away again, whatever happens.
 * @param use gets the agent's container; how it ends is how this ends
 * @throws Problem when Docker cannot do it; Interrupted
 */
export async function withSideInstance<T>(
  plan: SidePlan,
  use: (agent: Container, parts: Parts) => Promise<T>,
): Promise<T> {
  const { container, screen } = plan.session;
  const stopped = new AbortController();
  const forget = onInterrupt(() => stopped.abort(new Interrupted(INTERRUPTED)));
  const id = randomBytes(4).toString("hex");
  const stamp = new Date().toISOString().slice(0, 19).replace(/[-:]/g, "").replace("T", "t");
  const name = `${plan.service}-pitr-${stamp}-${id}`;
  const parts: Parts = {
    ...{ id, server: name, agent: `${name}-agent`, data: name, work: `${name}-work` },
  };
  let isGood = false;
  try {
    screen.waiting(`asking Docker on ${container.host}`);
    await sweep(container);
    stopped.signal.throwIfAborted();
    for (const volume of [parts.data, parts.work]) {
      const kept = plan.keep === "server" || (plan.keep === "volume" && volume === parts.data);
      await requireOnHost(container, "a volume could not be made", [
        ...["docker", "volume", "create", ...labels(id, kept), volume],
      ]);
    }
    const agent = await startAgent(plan, parts, stopped.signal);
    const result = await use(agent, parts);
    stopped.signal.throwIfAborted();
    isGood = true;
    return result;
  } catch (error) {
    // Of a container that was taken away, Docker says what nobody asked.
    if (!(error instanceof Interrupted) && stopped.signal.aborted) throw stopped.signal.reason;
    throw error;
  } finally {
    screen.waiting("removing what the recovery made");
    await remove(plan, parts, isGood ? plan.keep : "nothing");
    forget();
  }
}

function labels(id: string, keep: boolean): string[] {
  return ["--label", `${LABEL}=${id}`, ...(keep ? ["--label", `${KEPT}=true`] : [])];
}

/**
 * Takes away what recoveries have left whose program was killed: those without an agent, which ends with the connection that has
 * started it.
 */
async function sweep(container: Container): Promise<void> {
  const form = `{{.Label "${LABEL}"}}\t{{.Label "${KEPT}"}}\t`;
  const listed = async (words: readonly string[], name: string) =>
    (
      await requireOnHost(container, "Docker's list could not be read", [
        ...["docker", ...words, "--filter", `label=${LABEL}`, "--format", `${form}${name}`],
      ])
    )
      .split("\n")
      .filter(Boolean)
      .map((line) => line.split("\t"));
  const containers = await listed(["ps", "--all"], "{{.Names}}");
  const alive = new Set(
    containers.filter(([, , name = ""]) => name.endsWith("-agent")).map(([id]) => id),
  );
  const isOver = ([id, keep]: string[]) => !alive.has(id ?? "") && keep !== "true";
  for (const [, , name = ""] of containers.filter(isOver)) {
    await onHost(container, ["docker", "rm", "--force", "--volumes", name], { unstoppable: true });
  }
  for (const [, , name = ""] of (await listed(["volume", "ls"], "{{.Name}}")).filter(isOver)) {
    await onHost(container, ["docker", "volume", "rm", name], { unstoppable: true });
  }
}

/** The connection that holds the agent beside says something so often; then it is gone. Seconds. */
const SILENCE_SECONDS = 60;
const BEAT_MS = 5_000;
/** After the end of the connection, so that the agent can tidy up what it has begun in the live server. Seconds. */
const GRACE_SECONDS = 90;
const HOLD = `echo ready; while read -r -t ${SILENCE_SECONDS} line; do :; done; sleep ${GRACE_SECONDS}`;

/**
 * Makes the container of the agent with the environment of the agent that is there, which never leaves the host, and those
 * variables that come over the connection, a line each up to an empty one. Words: the agent's container, a pattern of what is not
 * taken from it, the name of the new one, and the words of `docker create`.
 */
const START = `set -eu
agent=$1 without=$2 name=$3; shift 3
{
  if [ -n "$agent" ]; then docker inspect --type container --format '{{range .Config.Env}}{{println .}}{{end}}' "$agent" | grep -v -E "$without"; fi
  while IFS= read -r line && [ -n "$line" ]; do printf '%s\\n' "$line"; done
} | docker create --env-file /dev/stdin "$@" >/dev/null
exec docker start --attach --interactive "$name"`;

async function startAgent(
  { session: { container, screen }, agentImage, env }: SidePlan,
  { id, agent, data, work }: Parts,
  stopped: AbortSignal,
): Promise<Container> {
  screen.waiting(`starting an agent on ${container.host}`);
  const { code, stdout } = await onHost(container, [
    ...["docker", "inspect", "--type", "container", "--format"],
    ...["{{.Config.Image}}\t{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}"],
    container.name,
  ]);
  const [image = "", networks = ""] = code === 0 ? stdout.trim().split("\t") : [];
  const [network = "kamal"] = networks.split(" ").filter(Boolean);
  const without =
    Object.keys(env)
      .map((name) => `^${name}=`)
      .join("|") || "^$";
  const create = [
    ...["--rm", "--interactive", "--name", agent, ...labels(id, false)],
    // Its own root, without any right of root on the host: a new volume is root's.
    ...["--user", "0:0", "--read-only", "--cap-drop", "ALL"],
    ...["--security-opt", "no-new-privileges", "--no-healthcheck", "--shm-size", "256m"],
    ...["--network", network, "--memory", "1g"],
    ...["--volume", `${work}:${FOLDER}`, "--volume", `${data}:${FOLDER}/data`],
    ...[image || agentImage, "bash", "-c", HOLD],
  ];
  const name = image === "" ? "" : container.name;
  const ready = Promise.withResolvers<void>();
  const running = container.connection.run({
    // The name of the new container is the third of these words, as the script counts them.
    words: [
      "sh",
      "-c",
      START.replace("name=$3", `name=${agent}`),
      "start",
      name,
      without,
      ...create,
    ],
    onLine: (line) => {
      if (line === "ready") ready.resolve();
    },
    input: `${Object.entries(env)
      .map(([variable, value]) => `${variable}=${value}\n`)
      .join("")}\n`,
    // It is waited for until it was taken away, so that the agent in it can end what it does.
    lifeline: {
      ...{ beat: "\n", everyMs: BEAT_MS, patienceMs: (GRACE_SECONDS + SILENCE_SECONDS) * 1000 },
      onInterrupted: () => true,
    },
    interrupted: INTERRUPTED,
  });
  running.then(
    ({ stderr }) =>
      ready.reject(
        new Problem(
          `an agent could not be started on ${container.host}: ${lastLine(stderr) || "it ended at once"}`,
        ),
      ),
    (error: unknown) => ready.reject(error),
  );
  await ready.promise;
  stopped.throwIfAborted();
  return { ...container, name: agent };
}

/** Settings that hold for a server that nobody may use but the agent beside it. */
const ALONE = [
  "hot_standby=on",
  `hba_file=${FOLDER}/pg_hba.conf`,
  `unix_socket_directories=${FOLDER}/socket`,
  "port=5432",
  "ssl=off",
  "archive_mode=off",
  "shared_buffers=128MB",
  "logging_collector=off",
  // Not a second subscriber of the publications of the live one, and no jobs of pg_cron.
  "max_logical_replication_workers=0",
  "cron.launch_active_jobs=off",
] as const;

/**
 * Makes the data folder ready: bases are combined, every file is compared with PostgreSQL's own list, and the server's user gets
 * them, which an image's entrypoint does not always do.
 * @throws Problem when one differs
 */
export async function prepareData(
  container: Container,
  { image }: ServerModel,
  parts: Parts,
  { bases }: RecoveryPlan,
): Promise<void> {
  const folders = bases.map((_, index) => `${FOLDER}/bases/${index}`);
  const combine =
    bases.length > 1 ? `pg_combinebackup --output=${FOLDER}/data ${folders.join(" ")} && ` : "";
  const script = `set -e; ${combine}pg_verifybackup --no-parse-wal --quiet ${FOLDER}/data; rm -rf ${FOLDER}/bases; touch ${FOLDER}/data/recovery.signal; chmod 700 ${FOLDER}/data; chown -R postgres: ${FOLDER}/data`;
  await requireOnHost(container, "the base backup is not whole", [
    ...["docker", "run", "--rm", "--network", "none", ...labels(parts.id, false)],
    ...["--user", "0:0", ...mountsOf(parts), "--entrypoint", "sh", image, "-c", script],
  ]);
}

function mountsOf({ data, work }: Parts): string[] {
  return ["--volume", `${work}:${FOLDER}`, "--volume", `${data}:${FOLDER}/data`];
}

/**
 * Starts the server of the recovery. It has no network: its jobs and links reach nothing, and it is reached by its socket alone.
 * @param target as `recovery_target_time` takes it; undefined: the end of the WAL
 */
export async function startServer(
  { session: { container }, server, keep }: SidePlan,
  parts: Parts,
  target: string | undefined,
): Promise<void> {
  const { image, command, mounts, memoryBytes } = server;
  const settings = [
    ...ALONE,
    `restore_command=cp ${FOLDER}/wal/%f %p`,
    "recovery_target_action=promote",
    ...(target === undefined ? [] : [`recovery_target_time=${target}`]),
  ];
  await requireOnHost(container, "the server of the recovery could not be started", [
    ...["docker", "run", "--detach", "--name", parts.server, "--network", "none"],
    ...labels(parts.id, keep === "server"),
    ...["--memory", String(memoryBytes), "--shm-size", "256m"],
    ...["--env", `PGDATA=${FOLDER}/data`, ...mountsOf(parts)],
    ...mounts.flatMap((mount) => ["--volume", mount]),
    ...[image, "postgres", ...command, ...settings.flatMap((setting) => ["-c", setting])],
  ]);
}

/** Takes the server away, and leaves its data. */
export async function removeServer(container: Container, { server }: Parts): Promise<void> {
  await requireOnHost(container, "the server of the recovery could not be removed", [
    ...["docker", "rm", "--force", server],
  ]);
}

/** For the last checkpoint of a server with much in memory. Seconds. */
const STOP_SECONDS = 600;

/** Shuts the server down in order. @throws Problem when it was not */
export async function stopServer(container: Container, { server }: Parts): Promise<void> {
  const what = "the server of the recovery could not be shut down";
  await requireOnHost(container, what, [
    ...["docker", "stop", "--time", String(STOP_SECONDS), server],
  ]);
  const state = await requireOnHost(container, what, [
    ...["docker", "inspect", "--type", "container", "--format", "{{.State.ExitCode}}", server],
  ]);
  if (state !== "0") throw new Problem(`${what} in order: it ended with ${state}.`);
}

/** Takes away what is there, and says what could not be. */
async function remove(
  { session: { container, screen } }: SidePlan,
  { server, agent, data, work }: Parts,
  keep: SidePlan["keep"],
): Promise<void> {
  const left: string[] = [];
  const take = async (...words: string[]) => {
    const { code, stderr } = await onHost(container, ["docker", ...words], {
      unstoppable: true,
    }).catch((error: unknown) => ({ code: 1, stderr: messageOf(error) }));
    if (code !== 0 && !/no such|not found|already in progress/i.test(stderr)) {
      left.push(`docker ${words.join(" ")}`);
    }
  };
  await take("rm", "--force", "--volumes", agent);
  if (keep === "server") return;
  await take("rm", "--force", "--volumes", server);
  await take("volume", "rm", work);
  if (keep === "nothing") await take("volume", "rm", data);
  if (left.length === 0) return;
  screen.warn(
    `Not everything of the recovery could be removed from ${container.host}. The next one does, or by hand there:`,
  );
  for (const line of left) screen.warn(`  ${line}`);
}
