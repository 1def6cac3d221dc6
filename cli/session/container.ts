import * as z from "zod";
import { Problem } from "../../common/problem.ts";
import { formatAge } from "../terminal/format.ts";
import { type Container, dockerProblem } from "./agentCall.ts";

const stateSchema = z.object({
  state: z.object({
    Status: z.string(),
    ExitCode: z.number(),
    StartedAt: z.string(),
    FinishedAt: z.string(),
    OOMKilled: z.boolean().optional(),
    Health: z
      .object({
        Status: z.string(),
        Log: z.array(z.object({ Output: z.string() })).nullish(),
      })
      .nullish(),
  }),
  restarts: z.number(),
  image: z.string(),
});

/** What Docker reports about the container. */
export interface ContainerState {
  readonly running: boolean;
  /** `running`, `exited (137)`, `missing` */
  readonly status: string;
  /** `for 3 d`, `2 h ago`; empty where Docker does not know. */
  readonly since: string;
  /** How long it has been running; absent: it does not run, or Docker does not know. */
  readonly runningMs?: number;
  /** `healthy`, `unhealthy`, `starting`; absent without a health check. */
  readonly health?: string;
  /** What the health check says, e.g. why the container is unhealthy; absent before it has run. */
  readonly remark?: string;
  readonly restarts: number;
  readonly image?: string;
}

/** Only what is shown is asked for: the whole of `docker inspect` holds the environment with its secrets. */
const format =
  '{"state":{{json .State}},"restarts":{{json .RestartCount}},"image":{{json .Config.Image}}}';

/**
 * Asks Docker on the host for the container.
 * @throws Problem when the host or its Docker cannot be asked; a container that is missing is an answer
 */
export async function inspectContainer(
  container: Container,
  now = Date.now(),
): Promise<ContainerState> {
  let text = "";
  const { code, stderr } = await container.connection.run({
    words: ["docker", "inspect", "--type", "container", "--format", format, container.name],
    onLine: (line) => {
      if (line.startsWith('{"state"')) text = line;
    },
    interrupted: "interrupted. Nothing was changed.",
  });
  if (code !== 0 && /no such (container|object)/i.test(stderr)) {
    return { running: false, status: "missing", since: "", restarts: 0 };
  }
  if (code !== 0) throw dockerProblem(container, code, stderr);
  const state = readState(text, container, now);
  return state.running ? { ...state, ...(await askHealth(container, state)) } : state;
}

/**
 * Runs the health check: what Docker remembers of it may be from before a backup that has just ended.
 * @returns nothing where it cannot be run, as in a container of another image
 */
async function askHealth(
  container: Container,
  { health }: ContainerState,
): Promise<Pick<ContainerState, "health" | "remark">> {
  const lines: string[] = [];
  const { code } = await container.connection.run({
    words: ["docker", "exec", container.name, "agent-health"],
    onLine: (line) => lines.push(line),
    interrupted: "interrupted. Nothing was changed.",
  });
  const [remark] = lines;
  if (code > 1 || !remark) return {};
  // It fails while the scheduler is about to start, which Docker knows to forgive.
  if (code === 1 && health === "starting") return { remark };
  return { health: code === 0 ? "healthy" : "unhealthy", remark };
}

/** Reads the answer of `docker inspect`. */
export function readState(text: string, container: Container, now: number): ContainerState {
  let parsed: z.infer<typeof stateSchema>;
  try {
    parsed = stateSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new Problem(
      `docker inspect ${container.name} on ${container.host} answered something that this program does not read. Look yourself: docker inspect ${container.name}`,
      { cause: error },
    );
  }
  const { state, restarts, image } = parsed;
  const running = state.Status === "running";
  const killed = state.OOMKilled === true ? ", out of memory" : "";
  const at = Date.parse(running ? state.StartedAt : state.FinishedAt);
  const known = at > 0;
  const age = formatAge(now - at);
  // Of a container that does not run, Docker keeps the output of the last check while it ran.
  const remark = running ? state.Health?.Log?.at(-1)?.Output.trim().split("\n")[0] : undefined;
  return {
    running,
    status: state.Status === "exited" ? `exited (${state.ExitCode}${killed})` : state.Status,
    since: known ? (running ? `for ${age}` : `${age} ago`) : "",
    ...(running && known && { runningMs: now - at }),
    ...(state.Health && { health: state.Health.Status }),
    ...(remark !== undefined && remark !== "" && { remark }),
    restarts,
    image,
  };
}
