import { userInfo } from "node:os";
import { Problem } from "../../common/problem.ts";
import { lastLine, runProgram } from "../../common/process.ts";
import type { Container } from "../session/agentCall.ts";

/** Sentence where there is no docker. */
export const MISSING_DOCKER =
  "docker is not on this machine's PATH. The throw-away server is started with Docker: install it, or run this where it is.";
/** What Ctrl-C ends a command with that has started containers here. */
export const INTERRUPTED = "interrupted; the containers that were started here are removed.";
/** Of what answers at once on a machine that is not overloaded. */
const LIMIT_MS = 120_000;

export interface DockerOptions {
  /** Added to the environment of docker, from which `--env NAME` takes a value: no list of processes shows it. */
  readonly env?: Readonly<Record<string, string>>;
  /** @default 120000 */
  readonly limitMs?: number;
  /** Goes on after Ctrl-C, to take away what is there. @default false */
  readonly unstoppable?: boolean;
}

export interface DockerOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs docker on this machine, against the engine that its context or DOCKER_HOST names.
 * @throws Problem when there is no docker, or it takes too long
 */
export async function docker(
  args: readonly string[],
  { env, limitMs = LIMIT_MS, unstoppable = false }: DockerOptions = {},
): Promise<DockerOutcome> {
  const lines: string[] = [];
  const { code, stderr } = await runProgram("docker", args, {
    ...(env && { env }),
    missing: MISSING_DOCKER,
    interrupted: INTERRUPTED,
    limit: {
      milliseconds: limitMs,
      exceeded: `docker ${args[0]} did not answer within ${limitMs / 1000} s on this machine.`,
    },
    ...(unstoppable && {
      lifeline: { beat: "", everyMs: limitMs, patienceMs: limitMs, onInterrupted: () => true },
    }),
    onLine: (line) => lines.push(line),
  });
  return { code, stdout: lines.join("\n"), stderr };
}

/**
 * The same for what has to succeed.
 * @param what fails, for the sentence: `the throw-away server could not be started`
 * @throws Problem with docker's last line
 */
export async function requireDocker(
  what: string,
  args: readonly string[],
  options: DockerOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await docker(args, options);
  if (code !== 0) throw dockerFailure(what, stderr);
  return stdout.trim();
}

/** What docker answered, with a remedy where one is known. */
export function dockerFailure(what: string, stderr: string): Problem {
  if (/cannot connect to the docker daemon|error during connect/i.test(stderr)) {
    return new Problem(
      "Docker's engine does not run on this machine. Start it (Docker Desktop, or systemctl start docker), then try again.",
    );
  }
  if (/permission denied.*docker/i.test(stderr)) {
    return new Problem(
      `${userInfo().username} may not use Docker on this machine. Add the user to the docker group, then try again.`,
    );
  }
  const last = lastLine(stderr).replace(/\.$/, "");
  return new Problem(`${what}${last === "" ? "" : `: ${last}`}.`);
}

/** A container of this machine's engine, for what talks to agents. */
export function localContainer(name: string): Container {
  return {
    name,
    host: "this machine",
    up: "this again",
    connection: {
      user: userInfo().username,
      run: ({ words: [program = "docker", ...args], onLine, output, input, lifeline }) =>
        runProgram(program, args, {
          missing: MISSING_DOCKER,
          interrupted: INTERRUPTED,
          onLine,
          ...(output !== undefined && { output }),
          ...(input !== undefined && { input }),
          ...(lifeline !== undefined && { lifeline }),
        }),
    },
  };
}
