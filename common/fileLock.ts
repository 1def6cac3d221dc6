import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { Problem } from "./problem.ts";

/** A change of a file takes milliseconds: whoever holds the lock for longer has died, on this machine or another one. */
const STALE_MS = 60_000;
const PATIENCE_MS = 90_000;

/**
 * Does some work on a file while no other process of this package does, on any machine that shares its folder. The lock is
 * a file beside it; one that was left by a process that died is taken over.
 * @throws Problem when the lock is held all the time
 */
export async function withFileLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  const lock = join(dirname(file), `.${basename(file)}.kamal-postgres-backup.lock`);
  const holder = `${process.pid} ${hostname()} ${randomUUID()}`;
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await acquire(lock, holder))) {
    if (Date.now() > deadline) {
      throw new Problem(
        `${file} is being changed by another process all the time. Wait for it, or remove ${lock} if there is none.`,
      );
    }
    await setTimeout(20 + Math.random() * 30);
  }
  try {
    return await work();
  } finally {
    await rm(lock, { force: true });
  }
}

async function acquire(lock: string, holder: string): Promise<boolean> {
  try {
    await writeFile(lock, holder, { flag: "wx", mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  await removeStale(lock);
  return false;
}

/** Moved away before it is removed: if another process was quicker, what was moved is its new lock, and goes back. */
async function removeStale(lock: string): Promise<void> {
  try {
    const found = await readFile(lock, "utf8");
    const { mtimeMs } = await stat(lock);
    if (Date.now() - mtimeMs < STALE_MS && !isDead(found)) return;
    const aside = `${lock}.${randomUUID()}`;
    await rename(lock, aside);
    if ((await readFile(aside, "utf8")) !== found) await link(aside, lock);
    await rm(aside);
  } catch (error) {
    // It is gone: its holder is done, or somebody else took it away.
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** Of a process on another machine nothing is known; a lock just made has no text yet. */
function isDead(holder: string): boolean {
  const [pid = "", host] = holder.split(" ");
  if (host !== hostname()) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
