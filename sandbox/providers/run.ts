import { spawn } from "node:child_process";

export interface Finished {
  /** Exit status; null when a signal ended the program. */
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Both streams in the order in which they arrived. */
  readonly output: string;
}

/** Runs a program to its end. Secrets belong in `input` or `env`, never in `args`. */
export function run(
  program: string,
  args: readonly string[],
  options: {
    input?: string;
    env?: NodeJS.ProcessEnv;
    onLine?: (stream: "stdout" | "stderr", line: string) => void;
  } = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    const text = { stdout: "", stderr: "", output: "" };
    for (const stream of ["stdout", "stderr"] as const) {
      let line = "";
      child[stream].setEncoding("utf8").on("data", (part: string) => {
        text[stream] += part;
        text.output += part;
        const lines = (line + part).split("\n");
        line = lines.pop() ?? "";
        for (const whole of lines) options.onLine?.(stream, whole);
      });
      child[stream].on("end", () => line && options.onLine?.(stream, line));
    }
    child.on("error", reject);
    child.on("close", (status, signal) => resolve({ status, signal, ...text }));
    // A program may end without reading its input (EPIPE); its exit status then tells what happened.
    child.stdin.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") reject(error);
    });
    child.stdin.end(options.input ?? "");
  });
}
