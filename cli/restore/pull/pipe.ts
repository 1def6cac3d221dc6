import { spawn } from "node:child_process";
import { pipeline, Transform } from "node:stream";
import { Problem } from "../../../common/problem.ts";
import { Interrupted, lastLine, onInterrupt, runProgram } from "../../../common/process.ts";

/** A program that another one writes into, or that writes into another one. */
export interface Piped {
  /** For the sentence of a failure: `the dump failed`. */
  readonly failure: string;
  readonly program: string;
  readonly args: readonly string[];
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Sentence where there is no such program. */
  readonly missing: string;
}

/**
 * Runs two programs, of which the first one's output is the second one's input. Nothing is kept on the way.
 * @param onBytes called with the number that have passed
 * @throws Problem when either fails; Interrupted
 */
export async function pipe(
  from: Piped,
  to: Piped,
  { interrupted, onBytes }: { readonly interrupted: string; onBytes(bytes: number): void },
): Promise<void> {
  const reader = spawn(to.program, to.args, {
    stdio: ["pipe", "ignore", "pipe"],
    env: { ...process.env, ...to.env },
    // In a session of its own: a terminal sends Ctrl-C to everything in its own one.
    detached: true,
  });
  const forget = onInterrupt(() => reader.kill("SIGTERM"));
  let heard = "";
  reader.stderr.setEncoding("utf8").on("data", (text: string) => {
    heard = (heard + text).slice(-65_536);
  });
  const ended = new Promise<number | Problem>((resolve) => {
    reader.once("error", () => resolve(new Problem(to.missing)));
    reader.once("close", (code) => resolve(code ?? 1));
  });
  let bytes = 0;
  const counter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      onBytes(bytes);
      done(null, chunk);
    },
  });
  // What keeps it from reading, it says itself.
  pipeline(counter, reader.stdin, () => {});
  const written = await runProgram(from.program, from.args, {
    ...(from.env && { env: from.env }),
    ...{ missing: from.missing, interrupted, output: counter, onLine: () => {} },
  }).catch((error: unknown) => {
    counter.destroy();
    return { error };
  });
  const code = await ended;
  forget();
  if ("error" in written && written.error instanceof Interrupted) throw written.error;
  if (code instanceof Problem) throw code;
  if (code !== 0) throw new Problem(`${to.failure}: ${firstError(heard)}.`);
  if ("error" in written) throw written.error;
  if (written.code !== 0) throw new Problem(`${from.failure}: ${lastLine(written.stderr)}.`);
}

/** psql goes on to say where it was; what went wrong stands in front. */
function firstError(stderr: string): string {
  const lines = stderr.split("\n");
  const error = lines.find((line) => /\b(?:ERROR|FATAL):/.test(line)) ?? lastLine(stderr);
  return error.replace(/^psql:<stdin>:\d+: /, "").replace(/\.$/, "");
}
