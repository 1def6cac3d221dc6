import type { Writable } from "node:stream";
import {
  type AgentEvent,
  type CopiedEvent,
  type FinalEvent,
  type ProgressEvent,
  parseEvent,
  type QuestionEvent,
} from "../../common/contracts/agentEvents.ts";
import type { BackupOutputs, SshHop } from "../../common/contracts/stackOutputs.ts";
import { Problem } from "../../common/problem.ts";
import { Interrupted, type Lifeline, lastLine } from "../../common/process.ts";
import { ConnectionLost } from "../../common/ssh/errors.ts";
import { HostConnection, type KeySource } from "./hostConnection.ts";

/** The container that a command talks to. */
export interface Container {
  readonly name: string;
  readonly host: string;
  readonly connection: Pick<HostConnection, "run" | "user">;
  /** The command that boots or starts it: `pulumi up`, or with `--refresh`; with the driver `render` Kamal's. */
  readonly up: string;
  /** Settings of the agent for these calls, over those of the container. On a command line, so none is a secret. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The container is not there or does not run, so nothing can be asked of it. */
export class ContainerDown extends Problem {}

/** The agent in the container does not know the command yet. */
export class OlderAgent extends Problem {}

/** The agent has run and reports why it failed, in its own sentence. */
export class AgentError extends Problem {}

/** The container of a backup on one of its hosts. */
export function containerOn(
  { container: name, proxy, identityFiles, reboot }: BackupOutputs,
  host: SshHop,
  up: string,
  keySource?: KeySource,
): Container {
  const connection = new HostConnection({ host, proxy, identityFiles }, keySource);
  return { name, host: host.host, connection, up: reboot ?? up };
}

export interface AgentCall {
  /** What the agent reads from standard input. */
  readonly input?: string;
  /** Exit codes that count as a good end when the result is there. @default [0] */
  readonly codes?: readonly number[];
  readonly onProgress?: (event: ProgressEvent) => void;
  /** Called for each result, of which there are several for several databases. */
  readonly onResult?: (event: FinalEvent) => void;
  /** Called for each copy of a backup. */
  readonly onCopied?: (event: CopiedEvent) => void;
  /**
   * Decides what the agent may not decide; with it the agent asks. What it throws is a no, and the failure of the call.
   * @param signal aborted when the answer is wanted no longer
   */
  readonly onQuestion?: (event: QuestionEvent, signal: AbortSignal) => Promise<boolean>;
  /** Called for each line that the agent, or ssh, has for a person beside the result. */
  readonly onStderrLine?: (line: string) => void;
  /** Takes what the agent writes to standard output, for a command whose events are on standard error. */
  readonly output?: Writable;
}

/** Commands of the agent that take their time and may change something: with them it learns when nobody waits any more. */
const ATTACHED = new Set([
  "backup",
  "drill",
  "dump",
  "fetch",
  "restore",
  "table",
  "undo",
  "verify",
]);
/** What an agent of an earlier version answers to that. */
const OLDER_AGENT = /unknown option '--(?:attached|ask)'/;

/** The agent is of an earlier version, which asks nothing. It has done nothing. */
export class CannotAsk extends Problem {}

/** The agent's own limit for a stop is 8 s; a swap that had begun may take some more. */
const PATIENCE_MS = 60_000;
const BEAT_MS = 5_000;

/**
 * Runs the agent in the container. An interruption ends what it does, and is waited for.
 * @param final name of the event that ends a good run; without it there is no success, whatever the exit code is
 * @throws Problem with the agent's own sentence, or with what kept the agent from running
 */
export async function runAgent<Name extends FinalEvent["event"]>(
  container: Container,
  args: readonly string[],
  final: Name,
  call: AgentCall = {},
): Promise<Extract<FinalEvent, { event: Name }>> {
  const [name = ""] = args;
  // A list of kept databases changes nothing.
  const attached = ATTACHED.has(name) || (name === "kept" && args.length > 1);
  if (!attached) return (await runOnce(container, args, final, call, "read")) as never;
  const ended = await runOnce(container, args, final, call, "attached");
  if (ended !== "older agent") return ended;
  if (call.onQuestion !== undefined) {
    throw new CannotAsk(
      `the agent in ${container.name} is of an earlier version, which asks nothing. Run pulumi up to replace it.`,
    );
  }
  // It has refused the option before it did anything.
  call.onStderrLine?.(
    `the agent in ${container.name} is of an earlier version, which Ctrl-C does not stop: it goes on to its end. Run pulumi up to replace it.`,
  );
  return (await runOnce(container, args, final, call, "unattended")) as never;
}

/**
 * `attached`: it is stopped by the end of its standard input. `unattended`: nothing stops it. `read`: it changes nothing, and
 * does not take long.
 */
type Manner = "attached" | "unattended" | "read";

async function runOnce<Name extends FinalEvent["event"]>(
  container: Container,
  args: readonly string[],
  final: Name,
  {
    input,
    codes = [0],
    onProgress,
    onResult,
    onCopied,
    onQuestion,
    onStderrLine,
    output,
  }: AgentCall,
  manner: Manner,
): Promise<Extract<FinalEvent, { event: Name }> | "older agent"> {
  let result: Extract<FinalEvent, { event: Name }> | undefined;
  let failure: string | undefined;
  let interrupted = false;
  let heard = false;
  let refusal: unknown;
  const question = new AbortController();
  const attached = manner === "attached";
  const onLine = (line: string, reply: (text: string) => void) => {
    heard = true;
    const event: AgentEvent | undefined = parseEvent(line);
    if (event?.event === "progress") onProgress?.(event);
    else if (event?.event === "question") {
      onQuestion?.(event, question.signal)
        .catch((error: unknown) => {
          refusal = error;
          return false;
        })
        .then((agreed) => reply(agreed ? "yes\n" : "no\n"));
    } else if (event?.event === "copied") onCopied?.(event);
    else if (event?.event === "error") failure = event.message;
    else if (event?.event === final) {
      result = event as Extract<FinalEvent, { event: Name }>;
      onResult?.(result);
    }
  };
  const lifeline: Lifeline = {
    beat: "\n",
    everyMs: BEAT_MS,
    patienceMs: PATIENCE_MS,
    onInterrupted: () => {
      // Of a host or bastion that is silent nothing would come. Where the agent has begun all the same, it notices by itself.
      if (!heard) return false;
      interrupted = true;
      question.abort();
      onStderrLine?.(
        "Interrupted: the agent stops and tidies up; this waits until it has. Ctrl-C again does not wait.",
      );
      return true;
    },
  };
  const { code, stderr } = await container.connection
    .run({
      words: words(container, args, { attached, interactive: attached || input !== undefined }),
      onLine,
      output,
      // The empty line ends the secret, or says that there is none.
      input: attached ? `${input ?? ""}\n` : input,
      ...(attached && { lifeline }),
      interrupted: interruption(manner, container),
    })
    .catch((error: unknown) => {
      if (!attached || !(error instanceof ConnectionLost)) throw error;
      throw new ConnectionLost(`${error.message} ${afterLoss(container)}`, { cause: error });
    })
    .finally(() => question.abort());
  if (attached && OLDER_AGENT.test(stderr)) return "older agent";
  if (failure !== undefined || (result !== undefined && codes.includes(code))) {
    const lines = stderr.split("\n").filter(Boolean);
    // Among events, what is none is for a person.
    const isForPerson = (line: string) => output === undefined || !line.startsWith('{"event":');
    for (const line of lines.filter(isForPerson)) onStderrLine?.(line);
  }
  // Whoever was asked knows why; the agent knows only that the answer was no. After an interruption it knows more.
  if (failure !== undefined && refusal !== undefined && !interrupted) throw refusal;
  if (failure !== undefined && interrupted) throw new Interrupted(failure);
  if (failure !== undefined) throw new AgentError(failure);
  if (!codes.includes(code)) throw dockerProblem(container, code, stderr);
  if (result === undefined) {
    throw new Problem(
      `the agent in ${container.name} on ${container.host} ended without a result, so it did not succeed. See its log: docker logs ${container.name}`,
    );
  }
  if (interrupted) onStderrLine?.("The interruption came when it was done already.");
  return result;
}

function words(
  { name, env = {} }: Container,
  [command = "", ...rest]: readonly string[],
  { attached, interactive }: { readonly attached: boolean; readonly interactive: boolean },
): string[] {
  // What follows "--" is no option.
  const end = rest.includes("--") ? rest.indexOf("--") : rest.length;
  return [
    ...["docker", "exec", ...(interactive ? ["--interactive"] : [])],
    ...[...Object.entries(env).flatMap(([key, value]) => ["--env", `${key}=${value}`]), name],
    ...["agent", command, ...(attached ? ["--attached"] : [])],
    ...[...rest.slice(0, end), "--json", ...rest.slice(end)],
  ];
}

function interruption(manner: Manner, container: Container): string {
  switch (manner) {
    case "read":
      return "interrupted. Nothing was changed.";
    case "unattended":
      return 'interrupted. What was started in the container may still be running; look with "list" before you try again.';
    case "attached":
      return `interrupted, without waiting for the agent on ${container.host}. ${afterLoss(container)}`;
  }
}

/** What becomes of a run that is tied to this program, once this program no longer hears of it. */
function afterLoss({ name, host }: Container): string {
  return `It stops by itself within about a minute, unless it was done or a swap of databases had begun. How it ended stands in its log (on ${host}: docker logs ${name}), and "status" shows whether it still runs.`;
}

/** What `docker` on the host answered, in a sentence. */
export function dockerProblem(container: Container, code: number, stderr: string): Problem {
  const { name, host, up } = container;
  const last = lastLine(stderr);
  if (/no such (container|object)/i.test(stderr)) {
    return new ContainerDown(`there is no container ${name} on ${host}. Run ${up} to boot it.`);
  }
  if (/is not running|is paused/i.test(stderr)) {
    return new ContainerDown(
      `the container ${name} on ${host} is not running. Run ${up} to start it.`,
    );
  }
  if (/is restarting/i.test(stderr)) {
    return new ContainerDown(
      `the container ${name} on ${host} keeps restarting. See why with: docker logs ${name}`,
    );
  }
  if (/permission denied.*docker|docker.*permission denied/i.test(stderr)) {
    return new Problem(
      `${container.connection.user} may not use Docker on ${host}. Add the user to the docker group, or set ssh.user in deploy.yml.`,
    );
  }
  if (/cannot connect to the docker daemon/i.test(stderr)) {
    return new Problem(
      `the Docker engine on ${host} is not running. Start it: systemctl start docker`,
    );
  }
  if (/executable file not found/i.test(stderr)) {
    return new Problem(
      `the container ${name} on ${host} has no agent: its image is not the one of this project. Run pulumi up to replace it.`,
    );
  }
  if (/unknown command '/.test(stderr)) {
    return new OlderAgent(
      `the agent in ${name} on ${host} is of an earlier version, which cannot do this. Run pulumi up to replace it.`,
    );
  }
  if (/docker: (command )?not found/i.test(stderr)) {
    return new Problem(`docker is not on the PATH of ${container.connection.user} on ${host}.`);
  }
  return new Problem(
    `the command in ${name} on ${host} failed with exit code ${code}${last === "" ? "" : `: ${last}`}. See its log: docker logs ${name}`,
  );
}
