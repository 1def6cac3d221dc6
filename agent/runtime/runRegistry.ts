import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import type { RunningCommand } from "../../common/contracts/agentEvents.ts";
import { RUN_FILE } from "../../common/contracts/containerState.ts";

const runSchema = z.object({
  pid: z.number(),
  command: z.string(),
  words: z.string(),
  startedAt: z.string(),
});

type StateFolder = string | undefined;

/**
 * Notes that a command runs in this container, so that others can see and stop it; the signal handlers are there already.
 * @param words the command with its arguments, free of secrets
 * @returns takes it back
 */
export function registerRun(folder: StateFolder, command: string, words: string): () => void {
  if (folder === undefined || folder === "") return () => {};
  const path = join(folder, `${RUN_FILE}${process.pid}`);
  const run = { pid: process.pid, command, words, startedAt: new Date().toISOString() };
  writeFileSync(`${path}.new`, `${JSON.stringify(run)}\n`);
  renameSync(`${path}.new`, path);
  return () => rmSync(path, { force: true });
}

/** The commands that run now. What a killed one has left is taken away. */
export function readRuns(folder: StateFolder): RunningCommand[] {
  if (folder === undefined || folder === "") return [];
  const names = readdirSync(folder).filter((name) => /^agent\.run\.\d+$/.test(name));
  return names.flatMap((name) => {
    const path = join(folder, name);
    try {
      const run = runSchema.parse(JSON.parse(readFileSync(path, "utf8")));
      if (isRunning(run.pid)) return [run];
      rmSync(path, { force: true });
    } catch {
      // It has ended meanwhile, or is no file of ours.
    }
    return [];
  });
}

/** Whether the process is an agent: a number is given out again. */
export function isRunning(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("agent.cjs");
  } catch {
    return false;
  }
}
