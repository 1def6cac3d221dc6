import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { messageOf, Problem } from "../../common/problem.ts";
import { Interrupted, onInterrupt } from "../../common/process.ts";
import type { Container } from "../session/agentCall.ts";
import type { Screen } from "../terminal/screen.ts";
import {
  docker,
  dockerFailure,
  INTERRUPTED,
  localContainer,
  requireDocker,
} from "./localDocker.ts";
import {
  type DataPlace,
  memoryWords,
  SOCKET_FOLDER,
  startServer,
  until,
} from "./serverContainer.ts";

/** Label of everything that is made for one throw-away server; its value is that one. */
const LABEL = "kamal-postgres-backup.drill";
/** Label of a server that `--keep` leaves, so that no later drill takes it away. */
const KEPT = "kamal-postgres-backup.drill.keep";

/** Where the agent finds the server's socket. */
const AGENT_FOLDER = "/drill";

/** For docker to start a container that it had begun to start, and to see that it has ended. */
const LET_GO_MS = 30_000;
/** The most that an agent may use where nothing may be written to a disk, swap space included. */
const AGENT_BYTES = 1024 ** 3;
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
  /** Where the server has its data. */
  readonly data: DataPlace;
  /** Leaves the server where the drill came to a verdict. */
  readonly keep: boolean;
}

/** What has been started. */
export interface ThrowAway {
  /** The agent's container. */
  readonly agent: Container;
  /** Name of the server's container. */
  readonly server: string;
  /**
   * Starts another agent beside the first, at the same server.
   * @throws Problem when it does not come up
   */
  readonly startAgent: (
    other: Pick<ThrowAwayPlan, "agentImage" | "env" | "network">,
  ) => Promise<Container>;
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
 * @param use gets what was started; how it ends is how this ends
 * @throws Problem when Docker, an image or the server does not come up; Interrupted
 */
export async function withThrowAway<T>(
  screen: Screen,
  plan: ThrowAwayPlan,
  use: (started: ThrowAway) => Promise<T>,
): Promise<{ readonly result: T; readonly kept: KeptServer | null }> {
  const stopped = new AbortController();
  const forget = onInterrupt(() => {
    stopped.abort(new Interrupted(INTERRUPTED));
  });
  const id = randomBytes(6).toString("hex");
  const name = `kamal-postgres-backup-drill-${id}`;
  const parts: Parts = { server: name, agent: `${name}-agent`, volume: name };
  const holders: Holder[] = [];
  let kept: KeptServer | null = null;
  try {
    screen.waiting("asking Docker on this machine");
    await sweep();
    await requireImage(screen, plan.serverImage, " Another image of PostgreSQL does too: --image.");
    stopped.signal.throwIfAborted();
    await requireImage(screen, plan.agentImage);
    stopped.signal.throwIfAborted();
    screen.waiting(`starting a throw-away server (${plan.serverImage})`);
    const password = randomBytes(18).toString("base64url");
    await makeVolume(parts.volume, id, plan.data);
    const begin = async (agent: string, about: ThrowAwayPlan) => {
      const holder = startAgent({ ...parts, agent }, id, about, password);
      holders.push(holder);
      await untilRunning(holder, agent, stopped.signal);
      return localContainer(agent);
    };
    const agent = await begin(parts.agent, plan);
    await startServer(
      {
        ...{ name: parts.server, image: plan.serverImage, superuser: plan.superuser, password },
        words: [
          "--network",
          "none",
          ...labels(id, plan.keep),
          "--volume",
          `${parts.volume}:${SOCKET_FOLDER}`,
        ],
        data: plan.data,
      },
      stopped.signal,
    );
    const started = {
      ...{ agent, server: parts.server },
      startAgent: (other: Pick<ThrowAwayPlan, "agentImage" | "env" | "network">) =>
        begin(`${name}-${holders.length + 1}`, { ...plan, ...other }),
    };
    const result = await use(started).catch((error: unknown) => {
      // What the agent says of a restore that was stopped is true of this server alone, which goes away.
      stopped.signal.throwIfAborted();
      throw error;
    });
    stopped.signal.throwIfAborted();
    const { server: container, volume } = parts;
    if (plan.keep) kept = { container, volume, superuser: plan.superuser };
    return { result, kept };
  } finally {
    screen.waiting("removing the containers");
    await Promise.all(holders.map((holder) => holder.letGo()));
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

/**
 * Fetches an image that is not here.
 * @param otherwise what else helps, for the sentence
 * @throws Problem when it cannot be had
 */
export async function requireImage(screen: Screen, image: string, otherwise = ""): Promise<void> {
  if ((await docker(["image", "inspect", image])).code === 0) return;
  screen.waiting(`fetching the image ${image}`);
  const { code, stderr } = await docker(["pull", "--quiet", image], { limitMs: PULL_LIMIT_MS });
  if (code === 0) return;
  const login = /denied|unauthorized|authentication/i.test(stderr)
    ? " Log in to its registry first: docker login."
    : "";
  const failure = dockerFailure(`the image ${image} could not be fetched`, stderr);
  throw new Problem(`${failure.message}${login}${otherwise}`);
}

/** The client that holds the agent's container: the container ends with it, however this process ends. */
interface Holder {
  /** What docker wrote when it ended; undefined: it has not. */
  readonly ended: () => string | undefined;
  /** Ends the container and waits until the client is gone: one that still starts it would make it after it was taken away. */
  readonly letGo: () => Promise<void>;
}

/** Makes the volume for the socket. Where the data is in memory, so is this: nothing of such a server has a place on a disk. */
async function makeVolume(volume: string, id: string, data: DataPlace): Promise<void> {
  const inMemory = ["type=tmpfs", "device=tmpfs", "o=size=1m"];
  const options = data.kind === "memory" ? inMemory.flatMap((word) => ["--opt", word]) : [];
  await requireDocker("the volume for the socket could not be made", [
    ...["volume", "create", ...labels(id, false), ...options, volume],
  ]);
}

function startAgent(
  { agent, volume }: Parts,
  id: string,
  { agentImage, env: given, superuser, network, data }: ThrowAwayPlan,
  password: string,
): Holder {
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
    ...(data.kind === "memory" ? memoryWords(AGENT_BYTES) : []),
    ...(network === undefined ? [] : ["--network", network]),
    ...Object.keys(env).flatMap((name) => ["--env", name]),
    ...[agentImage, "cat"],
  ];
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

async function untilRunning(holder: Holder, agent: string, stopped: AbortSignal): Promise<void> {
  await until("the agent's container did not start", stopped, async () => {
    const failure = holder.ended();
    if (failure !== undefined) {
      throw dockerFailure("the agent's container could not be started", failure);
    }
    const state = await docker(["container", "inspect", "--format", "{{.State.Running}}", agent]);
    return state.code === 0 && state.stdout.trim() === "true";
  });
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
  screen.warn("Not everything could be removed. The next drill, pull or clone does, or by hand:");
  for (const line of left) screen.warn(`  ${line}`);
}
