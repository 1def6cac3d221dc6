import { existsSync, readFileSync } from "node:fs";
import { Problem } from "../../common/problem.ts";
import { run } from "../world/run.ts";

/**
 * The processes of this machine whose command line holds `mark`. Not by a file with their number: that goes with the
 * state folder, while the process lives on, and the system gives the number to another.
 */
export async function processesWith(mark: string): Promise<number[]> {
  const { stdout } = await run("ps", ["-A", "-ww", "-o", "pid=,args="]);
  return stdout
    .split("\n")
    .filter((line) => line.includes(mark))
    .map((line) => Number.parseInt(line, 10));
}

/** Ends every process with the mark and waits until they are gone. @returns how many there were */
export async function stopProcesses(mark: string): Promise<number> {
  const found = await processesWith(mark);
  for (const pid of found) signal(pid, "SIGTERM");
  const deadline = Date.now() + 5_000;
  let left = found;
  while (left.length > 0) {
    const late = Date.now() > deadline;
    if (late) for (const pid of left) signal(pid, "SIGKILL");
    await new Promise((resolve) => setTimeout(resolve, 50));
    left = (await processesWith(mark)).filter((pid) => found.includes(pid));
    if (late) break;
  }
  return found.length;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // ended by itself meanwhile
  }
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
