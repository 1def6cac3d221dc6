import { type ChildProcess, spawn } from "node:child_process";
import { resolve } from "node:path";
import { compileCache } from "../../../sandbox/world/run.ts";
import type { Outside, Result } from "./run.ts";

const MAIN = resolve(import.meta.dirname, "../../../cli/main.ts");

/** A command in a process of its own, as a user types it: for what only the whole program can show. */
export interface RunningCommand {
  readonly child: ChildProcess;
  readonly ended: Promise<Result>;
}

/** @param out a file for standard output, in place of a pipe that is read */
export function beginCommandLine(
  outside: Outside,
  args: readonly string[],
  out: number | "pipe" = "pipe",
): RunningCommand {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: outside.folder,
    env: { ...outside.environment(), ...compileCache },
    stdio: ["ignore", out, "pipe"],
    timeout: 180_000,
    // SIGTERM would count as an interruption.
    killSignal: "SIGKILL",
  });
  let [stdout, stderr] = ["", ""];
  child.stdout?.on("data", (chunk) => {
    stdout += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    stderr += chunk;
  });
  const ended = new Promise<Result>((done, failed) => {
    child.on("error", failed);
    child.on("close", (code) => done({ code, stdout, stderr }));
  });
  return { child, ended };
}

export function spawnCommandLine(outside: Outside, args: readonly string[]): Promise<Result> {
  return beginCommandLine(outside, args).ended;
}
