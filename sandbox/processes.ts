import { existsSync, readFileSync, rmSync } from "node:fs";
import { Problem } from "../storage/problem.ts";
import { run } from "./run.ts";

/**
 * The process named by a pid file, if it lives and its command line holds `mark`. A number that the system has given
 * to another process since is not ours.
 */
export async function livingProcess(pidFile: string, mark: string): Promise<number | undefined> {
  if (!existsSync(pidFile)) return undefined;
  const pid = Number(readFileSync(pidFile, "utf8").trim());
  if (!Number.isInteger(pid) || pid <= 1) return undefined;
  const found = await run("ps", ["-o", "args=", "-p", String(pid)], { allowFailure: true });
  return found.code === 0 && found.stdout.includes(mark) ? pid : undefined;
}

/** Ends the process of a pid file, if it is ours, and waits until it is gone. */
export async function stopProcess(pidFile: string, mark: string): Promise<void> {
  const pid = await livingProcess(pidFile, mark);
  if (pid !== undefined) {
    process.kill(pid, "SIGTERM");
    const deadline = Date.now() + 5_000;
    while ((await livingProcess(pidFile, mark)) !== undefined) {
      if (Date.now() > deadline) {
        process.kill(pid, "SIGKILL");
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  rmSync(pidFile, { force: true });
}

/** The last lines of a log, for an error message. */
export function logTail(file: string, lines = 3): string {
  if (!existsSync(file)) return "(no log)";
  return readFileSync(file, "utf8").trim().split("\n").slice(-lines).join(" | ");
}

/** The absolute path of a program on PATH. @throws Problem that says how to get it */
export async function findProgram(name: string): Promise<string> {
  const found = await tryFindProgram(name);
  if (found === undefined) {
    throw new Problem(`'${name}' is not on PATH: run scripts/setup, which installs or names it.`);
  }
  return found;
}

export async function tryFindProgram(name: string): Promise<string | undefined> {
  const found = await run("sh", ["-c", 'command -v "$1"', "sh", name], { allowFailure: true });
  return found.code === 0 ? found.stdout.trim() : undefined;
}
