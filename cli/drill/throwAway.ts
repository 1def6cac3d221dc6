import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { messageOf, Problem } from "../../common/problem.ts";
import { Interrupted, lastLine, onInterrupt } from "../../common/process.ts";
import type { Container } from "../session/agentCall.ts";
import type { Screen } from "../terminal/screen.ts";
import {
  docker,
  dockerFailure,
  INTERRUPTED,
  localContainer,
  requireDocker,
} from "./localDocker.ts";

/** Label of everything that a drill makes; its value is the drill. */
const LABEL = "kamal-postgres-backup.drill";
/** Label of a server that `--keep` leaves, so that no later drill takes it away. */
const KEPT = "kamal-postgres-backup.drill.keep";

/** Where every image of PostgreSQL has its socket, and where the agent finds it. */
const SOCKET_FOLDER = "/var/run/postgresql";
const AGENT_FOLDER = "/drill";

/** A server that has never been started before needs some seconds; one on a busy machine more. */
const READY_TRIES = 240;
const READY_EVERY_MS = 500;
/** For docker to start a container that it had begun to start, and to see that it has ended. */
const LET_GO_MS = 30_000;
/** An image of some hundred megabytes over a slow line. */
const PULL_LIMIT_MS = 30 * 60_000;

/** What is started for a drill. */
export interface ThrowAwayPlan {
  /** Image of the PostgreSQL server. @example "postgres:17" */
  readonly serverImage: string;
  /** Image with the agent, which restores. */
  readonly agentImage: string;
  /** Name of the server's superuser: that of the server that was backed up, so that its role is there. */
  readonly superuser: string;
  /** The agent's environment but for the server. */
  readonly env: Readonly<Record<string, string>>;
  /** Docker network by which the agent reaches the bucket. @default Docker's own, which reaches the internet */
  readonly network: string | undefined;
  /** Leaves the server where the drill came to a verdict. */
  readonly keep: boolean;
}

/** The server that stays, and how it is reached. */
export interface KeptServer {
  readonly container: string;
  readonly volume: string;
  readonly superuser: string;
}

/**
 * Starts a throw-away server and an agent for it, and takes both away again, whatever happens. The server has no network: not
 * even this machine is there, which a network that Docker calls internal would reach. They meet at a socket in a volume; the
 * agent alone reaches the bucket.
 * @param use gets the agent's container; how it ends is how this ends
 * @throws Problem when Docker, an image or the server does not come up; Interrupted
 */
export async function withThrowAway<T>(
  screen: Screen,
  plan: ThrowAwayPlan,
  use: (agent: Container) => Promise<T>,
): Promise<{ readonly result: T; readonly kept: KeptServer | null }> {
  const stopped = new AbortController();
  const forget = onInterrupt(() => {
    stopped.abort(new Interrupted(INTERRUPTED));
  });
  const id = randomBytes(6).toString("hex");
  const name = `kamal-postgres-backup-drill-${id}`;
  const parts: Parts = { server: name, agent: `${name}-agent`, volume: name };
  let holder: Holder | undefined;
  let kept: KeptServer | null = null;
  try {
    screen.waiting("asking Docker on this machine");
    await sweep();
    for (const image of [plan.serverImage, plan.agentImage]) {
      stopped.signal.throwIfAborted();
      await requireImage(screen, image);
    }
    stopped.signal.throwIfAborted();
    screen.waiting(`starting a throw-away server (${plan.serverImage})`);
    const password = randomBytes(18).toString("base64url");
    holder = await startAgent(parts, id, plan, password);
    await untilRunning(holder, parts, stopped.signal);
    await startServer(parts, id, plan, password, stopped.signal);
    const result = await use(localContainer(parts.agent)).catch((error: unknown) => {
      // What the agent says of a restore that was stopped is true of this server alone, which goes away.
      stopped.signal.throwIfAborted();
      throw error;
    });
    stopped.signal.throwIfAborted();
    const { server: container, volume } = parts;
    if (plan.keep) kept = { container, volume, superuser: plan.superuser };
    return { result, kept };
  } finally {
    screen.waiting("removing the drill's containers");
    await holder?.letGo();
    await remove(screen, parts, kept !== null);
    forget();
  }
}

/** Names of what a drill makes. */
interface Parts {
  readonly server: string;
  readonly agent: string;
  /** Holds the socket. */
  readonly volume: string;
}

function labels(id: string, keep: boolean): string[] {
  return ["--label", `${LABEL}=${id}`, ...(keep ? ["--label", `${KEPT}=true`] : [])];
}

/**
 * Takes away what drills have left whose program was killed. The agent's container ends with the program that has started it,
 * and is the first that is there: what belongs to a drill without one is nobody's any more.
 */
async function sweep(): Promise<void> {
  const format = ["--format", `{{.Label "${LABEL}"}}\t{{.Label "${KEPT}"}}\t{{.Names}}`];
  const listed = await requireDocker("Docker's containers could not be listed", [
    ...["ps", "--all", "--filter", `label=${LABEL}`],
    ...format,
  ]);
  const containers = listed
    .split("\n")
    .filter(Boolean)
    .map((line) => line.split("\t"));
  const alive = new Set(
    containers.filter(([, , name = ""]) => name.endsWith("-agent")).map(([id]) => id),
  );
  const keptIds = new Set(containers.filter(([, keep]) => keep === "true").map(([id]) => id));
  for (const [id, , name = ""] of containers) {
    if (alive.has(id) || keptIds.has(id)) continue;
    await docker(["rm", "--force", "--volumes", name], { unstoppable: true });
  }
  const volumes = await requireDocker("Docker's volumes could not be listed", [
    ...["volume", "ls", "--filter", `label=${LABEL}`],
    ...["--format", `{{.Label "${LABEL}"}}\t{{.Name}}`],
  ]);
  for (const line of volumes.split("\n").filter(Boolean)) {
    const [id, volume = ""] = line.split("\t");
    if (alive.has(id) || keptIds.has(id)) continue;
    await docker(["volume", "rm", volume], { unstoppable: true });
  }
}

async function requireImage(screen: Screen, image: string): Promise<void> {
  if ((await docker(["image", "inspect", image])).code === 0) return;
  screen.waiting(`fetching the image ${image}`);
  const { code, stderr } = await docker(["pull", "--quiet", image], { limitMs: PULL_LIMIT_MS });
  if (code === 0) return;
  const login = /denied|unauthorized|authentication/i.test(stderr)
    ? " Log in to its registry first: docker login."
    : "";
  const failure = dockerFailure(`the image ${image} could not be fetched`, stderr);
  throw new Problem(`${failure.message}${login}`);
}

/** The client that holds the agent's container: the container ends with it, however this process ends. */
interface Holder {
  /** What docker wrote when it ended; undefined: it has not. */
  readonly ended: () => string | undefined;
  /** Ends the container and waits until the client is gone: one that still starts it would make it after it was taken away. */
  readonly letGo: () => Promise<void>;
}

/** @throws Problem when the volume cannot be made */
async function startAgent(
  { agent, volume }: Parts,
  id: string,
  { agentImage, env: given, superuser, network }: ThrowAwayPlan,
  password: string,
): Promise<Holder> {
  const env = {
    ...given,
    POSTGRES_HOST: AGENT_FOLDER,
    POSTGRES_SSL_MODE: "disable",
    POSTGRES_USER: superuser,
    POSTGRES_PASSWORD: password,
  };
  const words = [
    ...["run", "--rm", "--interactive", "--name", agent, ...labels(id, false)],
    ...["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
    ...["--no-healthcheck", "--volume", `${volume}:${AGENT_FOLDER}`],
    ...(network === undefined ? [] : ["--network", network]),
    ...Object.keys(env).flatMap((name) => ["--env", name]),
    ...[agentImage, "cat"],
  ];
  await requireDocker("the volume for the socket could not be made", [
    ...["volume", "create", ...labels(id, false), volume],
  ]);
  return hold(words, env);
}

function hold(words: readonly string[], env: Readonly<Record<string, string>>): Holder {
  const child = spawn("docker", words, {
    stdio: ["pipe", "ignore", "pipe"],
    env: { ...process.env, ...env },
    // In a session of its own: a terminal sends Ctrl-C to everything in its own one.
    detached: true,
  });
  let stderr = "";
  let ended = false;
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-4096);
  });
  child.stdin.on("error", () => {});
  const gone = new Promise<void>((done) => {
    for (const event of ["error", "exit"]) {
      child.on(event, () => {
        ended = true;
        done();
      });
    }
  });
  return {
    ended: () => (ended ? stderr : undefined),
    letGo: async () => {
      child.stdin.end();
      const late = setTimeout(() => child.kill("SIGKILL"), LET_GO_MS);
      await gone;
      clearTimeout(late);
    },
  };
}

async function untilRunning(holder: Holder, { agent }: Parts, stopped: AbortSignal): Promise<void> {
  await until("the agent's container did not start", stopped, async () => {
    const failure = holder.ended();
    if (failure !== undefined) {
      throw dockerFailure("the agent's container could not be started", failure);
    }
    const state = await docker(["container", "inspect", "--format", "{{.State.Running}}", agent]);
    return state.code === 0 && state.stdout.trim() === "true";
  });
}

async function startServer(
  { server, volume }: Parts,
  id: string,
  { serverImage, superuser, keep }: ThrowAwayPlan,
  password: string,
  stopped: AbortSignal,
): Promise<void> {
  const what = "the throw-away server could not be started";
  const variables = {
    POSTGRES_USER: superuser,
    POSTGRES_PASSWORD: password,
    POSTGRES_DB: "postgres",
  };
  await requireDocker(
    what,
    [
      ...["run", "--detach", "--name", server, "--network", "none", ...labels(id, keep)],
      ...["--volume", `${volume}:${SOCKET_FOLDER}`],
      // Docker's 64 MB are too little for an index that several workers build.
      ...["--shm-size", "256m"],
      ...Object.keys(variables).flatMap((name) => ["--env", name]),
      serverImage,
    ],
    { env: variables },
  );
  await until(`the throw-away server of ${serverImage} was not ready`, stopped, async () => {
    // While the cluster is made, it listens on its socket alone.
    const words = ["pg_isready", "--quiet", "--host", "127.0.0.1", "--username", superuser];
    if ((await docker(["exec", server, ...words])).code === 0) return true;
    const format = ["--format", "{{.State.Running}}"];
    if ((await docker(["container", "inspect", ...format, server])).stdout.trim() === "true") {
      return false;
    }
    const { stdout, stderr } = await docker(["logs", "--tail", "5", server]);
    throw new Problem(
      `the throw-away server of ${serverImage} ended at once: ${lastLine(stderr) || lastLine(stdout)}`,
    );
  });
}

async function until(
  failure: string,
  stopped: AbortSignal,
  isReady: () => Promise<boolean>,
): Promise<void> {
  for (let tries = 0; tries < READY_TRIES; tries += 1) {
    stopped.throwIfAborted();
    if (await isReady()) return;
    await sleep(READY_EVERY_MS);
  }
  throw new Problem(`${failure} within ${(READY_TRIES * READY_EVERY_MS) / 1000} s.`);
}

async function remove(screen: Screen, parts: Parts, keepServer: boolean): Promise<void> {
  const left: string[] = [];
  const take = async (words: readonly string[]) => {
    const { code, stderr } = await docker(words, { unstoppable: true }).catch((error) => ({
      code: 1,
      stderr: messageOf(error),
    }));
    if (code !== 0 && !/no such|not found|already in progress/i.test(stderr))
      left.push(`docker ${words.join(" ")}`);
  };
  await take(["rm", "--force", "--volumes", parts.agent]);
  if (keepServer) return;
  await take(["rm", "--force", "--volumes", parts.server]);
  await take(["volume", "rm", parts.volume]);
  if (left.length === 0) return;
  screen.warn("Not everything of the drill could be removed. The next drill does, or by hand:");
  for (const line of left) screen.warn(`  ${line}`);
}
