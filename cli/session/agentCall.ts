import {
  type AgentEvent,
  type CopiedEvent,
  type FinalEvent,
  type ProgressEvent,
  parseEvent,
} from "../../common/contracts/agentEvents.ts";
import type { BackupOutputs, SshHop } from "../../common/contracts/stackOutputs.ts";
import { Problem } from "../../common/problem.ts";
import { lastLine } from "../../common/process.ts";
import { HostConnection, type KeySource } from "./hostConnection.ts";

/** The container that a command talks to. */
export interface Container {
  readonly name: string;
  readonly host: string;
  readonly connection: HostConnection;
}

/** The container is not there or does not run, so nothing can be asked of it. */
export class ContainerDown extends Problem {}

/** The agent has run and reports why it failed, in its own sentence. */
export class AgentError extends Problem {}

/** The container of a backup on one of its hosts. */
export function containerOn(
  { container: name, proxy, identityFiles }: BackupOutputs,
  host: SshHop,
  keySource?: KeySource,
): Container {
  const connection = new HostConnection({ host, proxy, identityFiles }, keySource);
  return { name, host: host.host, connection };
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
  /** Called for each line that the agent, or ssh, has for a person beside the result. */
  readonly onStderrLine?: (line: string) => void;
}

/**
 * Runs the agent in the container.
 * @param final name of the event that ends a good run; without it there is no success, whatever the exit code is
 * @throws Problem with the agent's own sentence, or with what kept the agent from running
 */
export async function runAgent<Name extends FinalEvent["event"]>(
  container: Container,
  args: readonly string[],
  final: Name,
  { input, codes = [0], onProgress, onResult, onCopied, onStderrLine }: AgentCall = {},
): Promise<Extract<FinalEvent, { event: Name }>> {
  let result: Extract<FinalEvent, { event: Name }> | undefined;
  let failure: string | undefined;
  const interactive = input === undefined ? [] : ["--interactive"];
  const command = ["docker", "exec", ...interactive, container.name, "agent", ...args, "--json"];
  const onLine = (line: string) => {
    const event: AgentEvent | undefined = parseEvent(line);
    if (event?.event === "progress") onProgress?.(event);
    else if (event?.event === "copied") onCopied?.(event);
    else if (event?.event === "error") failure = event.message;
    else if (event?.event === final) {
      result = event as Extract<FinalEvent, { event: Name }>;
      onResult?.(result);
    }
  };
  const { code, stderr } = await container.connection.run({ words: command, onLine, input });
  if (failure !== undefined || (result !== undefined && codes.includes(code))) {
    for (const line of stderr.split("\n").filter(Boolean)) onStderrLine?.(line);
  }
  if (failure !== undefined) throw new AgentError(failure);
  if (!codes.includes(code)) throw dockerProblem(container, code, stderr);
  if (result === undefined) {
    throw new Problem(
      `the agent in ${container.name} on ${container.host} ended without a result, so it did not succeed. See its log: docker logs ${container.name}`,
    );
  }
  return result;
}

/** What `docker` on the host answered, in a sentence. */
export function dockerProblem(container: Container, code: number, stderr: string): Problem {
  const { name, host } = container;
  const last = lastLine(stderr);
  if (/no such (container|object)/i.test(stderr)) {
    return new ContainerDown(`there is no container ${name} on ${host}. Run pulumi up to boot it.`);
  }
  if (/is not running|is paused/i.test(stderr)) {
    return new ContainerDown(
      `the container ${name} on ${host} is not running. Run pulumi up to start it.`,
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
  if (/docker: (command )?not found/i.test(stderr)) {
    return new Problem(`docker is not on the PATH of ${container.connection.user} on ${host}.`);
  }
  return new Problem(
    `the command in ${name} on ${host} failed with exit code ${code}${last === "" ? "" : `: ${last}`}. See its log: docker logs ${name}`,
  );
}
