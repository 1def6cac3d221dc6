import { Problem } from "../../../common/problem.ts";
import { lastLine } from "../../../common/process.ts";
import type { Container } from "../../session/agentCall.ts";
import { dockerProblem } from "../../session/agentCall.ts";

/** What Ctrl-C ends a recovery with. */
export const INTERRUPTED =
  "interrupted; what the recovery had made on the host is removed, and the live server was not touched.";

/** For what is taken away after Ctrl-C. */
const PATIENCE_MS = 120_000;

export interface HostOutcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program on the host, over SSH.
 * @param options.unstoppable goes on after Ctrl-C, to take away what is there
 * @param options.onLine called with each line of its output, as it comes
 */
export async function onHost(
  { connection }: Pick<Container, "connection">,
  words: readonly string[],
  {
    unstoppable = false,
    onLine,
  }: { readonly unstoppable?: boolean; readonly onLine?: (line: string) => void } = {},
): Promise<HostOutcome> {
  const lines: string[] = [];
  const { code, stderr } = await connection.run({
    words,
    onLine: (line) => {
      lines.push(line);
      onLine?.(line);
    },
    interrupted: INTERRUPTED,
    ...(unstoppable && {
      lifeline: {
        ...{ beat: "", everyMs: PATIENCE_MS, patienceMs: PATIENCE_MS },
        onInterrupted: () => true,
      },
    }),
  });
  return { code, stdout: lines.join("\n"), stderr };
}

/**
 * The same for a command of Docker that has to succeed.
 * @param what fails, for the sentence: `the volume could not be made`
 * @throws Problem with Docker's last line
 */
export async function requireOnHost(
  container: Container,
  what: string,
  words: readonly string[],
): Promise<string> {
  const { code, stdout, stderr } = await onHost(container, words);
  if (code === 0) return stdout.trim();
  if (/permission denied.*docker|cannot connect to the docker daemon/i.test(stderr)) {
    throw dockerProblem(container, code, stderr);
  }
  throw new Problem(
    `${what} on ${container.host}: ${lastLine(stderr) || lastLine(stdout) || `exit code ${code}`}`,
  );
}
