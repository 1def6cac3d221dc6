import { chown, mkdtemp, readdir, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Linux's file system in memory. Docker gives a container 64 MiB of it. */
const MEMORY = "/dev/shm";
const ENOUGH_BYTES = 2 * 1024 ** 3;

/**
 * A new folder for the data of a server of the tests: in memory, where there is enough. To make a database is to make three hundred
 * files, and to drop it is to remove them, which on a disk is a tenth of what the tests of the agent cost.
 * @param owner whom it belongs to @default this process's user
 */
export async function makeDataFolder(owner?: { uid: number; gid: number }): Promise<string> {
  const free = await statfs(MEMORY).catch(() => undefined);
  const isEnough = free !== undefined && free.bavail * free.bsize >= ENOUGH_BYTES;
  if (isEnough) await removeLeftovers();
  const name = `test-data-${process.pid}-`;
  const folder = await mkdtemp(join(isEnough ? MEMORY : tmpdir(), name));
  if (owner !== undefined) await chown(folder, owner.uid, owner.gid);
  return folder;
}

/** Those of tests that were killed would keep the memory. */
async function removeLeftovers(): Promise<void> {
  for (const name of await readdir(MEMORY)) {
    const pid = Number(name.match(/^test-data-(\d+)-/)?.[1]);
    if (Number.isInteger(pid) && !isAlive(pid)) {
      await rm(join(MEMORY, name), { recursive: true, force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
