import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { Problem } from "../problem.ts";

export interface Outcome {
  readonly code: number;
  /** The last 64 KiB. */
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Sentence for a program, or a folder, that does not exist: both carry the same code. */
  readonly missing: string;
  /** Sentence for an interruption from the keyboard or by a signal. */
  readonly interrupted: string;
  /** Standard input; absent: none. */
  readonly input?: string;
  /** Called for each line of standard output; what it throws ends the program. */
  readonly onLine: (line: string) => void;
}

/**
 * Runs a program without a shell. An interruption ends the program and comes back as an error, so that
 * the caller can tidy up.
 * @throws Problem when the program cannot be started or is stopped
 */
export function runProgram(
  program: string,
  args: readonly string[],
  options: RunOptions,
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
      stdio: "pipe",
    });
    // EPIPE: the program ended before it read it; its exit code says why.
    child.stdin.on("error", () => {}).end(options.input);
    let failure: unknown;
    const stop = (reason: unknown) => {
      failure ??= reason;
      child.kill("SIGTERM");
    };
    const interrupt = () => stop(new Problem(options.interrupted));
    process.on("SIGINT", interrupt).on("SIGTERM", interrupt);

    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-65_536);
    });
    const lines = createInterface({ input: child.stdout });
    const read = new Promise<void>((done) => lines.once("close", done));
    lines.on("line", (line) => {
      try {
        options.onLine(line);
      } catch (error) {
        stop(error);
      }
    });
    child.on("error", (error: NodeJS.ErrnoException) => {
      stop(
        error.code === "ENOENT" || error.code === "ENOTDIR"
          ? new Problem(options.missing, { cause: error })
          : error,
      );
    });
    child.on("close", async (code, signal) => {
      process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
      await read;
      if (failure !== undefined) reject(failure);
      else if (code === null) reject(new Problem(`${program} was stopped by ${signal}.`));
      else resolve({ code, stderr });
    });
  });
}

/** The last line that says something. */
export function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.trim() ?? "";
}
