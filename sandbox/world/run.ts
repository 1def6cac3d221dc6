import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { messageOf, Problem } from "../../common/problem.ts";

/**
 * Where Node keeps what it compiled (`scripts/env` chooses the folder), for programs that are given an environment of their own.
 * Empty when the tests run without it.
 */
export const compileCache: Readonly<Record<string, string>> =
  process.env["NODE_COMPILE_CACHE"] === undefined
    ? {}
    : { NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] };

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  /** Added to this process's environment; `undefined` removes a variable. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Written to standard input, which is closed otherwise. The place for secrets. */
  readonly input?: string | Uint8Array;
  /** The program is killed after this many milliseconds. @default 120000 */
  readonly timeoutMs?: number;
  /** Return a non-zero exit code instead of throwing. @default false */
  readonly allowFailure?: boolean;
}

/**
 * Runs a program without a shell and collects what it prints.
 * @throws Problem when the program is missing, is too slow, or exits non-zero without `allowFailure`
 */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<RunResult> {
  const timeoutMs = options.timeoutMs ?? 120_000;
  const shown = [program, ...args.slice(0, 3)].join(" ");
  const result = await new Promise<RunResult>((resolve, reject) => {
    const child = spawn(program, args, {
      ...(options.cwd !== undefined && { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, timeoutMs);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    // A program that ends before it has read its input closes the pipe; its exit code says what happened.
    child.stdin.on("error", () => {});
    child.stdin.end(options.input ?? "");
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(
        new Problem(`'${program}' could not be started (${error.message}). Run scripts/setup.`),
      );
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      if (late) reject(new Problem(`'${shown}' did not end within ${timeoutMs / 1000} s.`));
      else resolve({ code: code ?? 1, stdout, stderr });
    });
  });
  if (result.code !== 0 && options.allowFailure !== true) {
    const output = (result.stderr.trim() || result.stdout.trim()).split("\n").slice(-6).join("\n");
    throw new Problem(`'${shown}' failed with exit code ${result.code}: ${output}`);
  }
  return result;
}

/** Starts a program that outlives this process, its output appended to a log file. */
export function startDetached(program: string, args: readonly string[], logFile: string): void {
  const log = openSync(logFile, "a", 0o600);
  const child = spawn(program, args, { detached: true, stdio: ["ignore", log, log] });
  // A start that fails shows as "not answering" to the caller, who waits and then quotes the log.
  child.on("error", () => {});
  child.unref();
}

/**
 * Asks until the answer is not `undefined`.
 * @throws Problem `<what> did not answer within N s`, with the last error
 */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  ask: () => Promise<T | undefined>,
  everyMs = 100,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last = "";
  for (;;) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      last = `: ${messageOf(error)}`;
    }
    if (Date.now() > deadline) {
      throw new Problem(`${what} did not answer within ${timeoutMs / 1000} s${last}`);
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
