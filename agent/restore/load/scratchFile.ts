import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { open, readdir, rm, unlink } from "node:fs/promises";
import { join } from "node:path";
import type { Report } from "../../runtime/reporter.ts";

/** Where the image keeps unpacked archives, see agent/image/install.sh. */
const IMAGE_FOLDER = "/scratch";
/** Where a process sees the files that others have open, also those without a name: proc_pid_fd(5). */
const OPEN_FILES = "/proc/self/fd";
/** Of this version with the process's number; of the first one a folder, `restore-Ab3xYz`. */
const FORM = /^restore-(?:(\d+)-[0-9a-f-]{36}|\w{6})$/;

/** A file that only this process's user can open, by a path that is gone with the process. */
export interface ScratchFile {
  readonly path: string;
  close(): Promise<void>;
}

/**
 * Makes an empty file. It has no name from the beginning, so that a kill leaves nothing that could be read: the system frees
 * it with its last user. Where files without a name cannot be opened, it has one, and is removed at the end.
 */
export async function openScratchFile(folder: string): Promise<ScratchFile> {
  const name = join(folder, `restore-${process.pid}-${randomUUID()}`);
  const handle = await open(name, "wx+", 0o600);
  if (!existsSync(OPEN_FILES)) {
    return {
      path: name,
      close: async () => {
        await handle.close();
        await rm(name, { force: true });
      },
    };
  }
  await unlink(name);
  return { path: `/proc/${process.pid}/fd/${handle.fd}`, close: () => handle.close() };
}

/** The folders in which a restore may have left something, beside the one that is given. */
export function defaultFolders(env: NodeJS.ProcessEnv = process.env): string[] {
  const given = env["RESTORE_SCRATCH_DIR"];
  return [
    ...(given === undefined || given === "" ? [] : [given]),
    // Only the image has that folder for this purpose.
    ...(env["AGENT_STATE_DIR"] === undefined ? [] : [IMAGE_FOLDER]),
  ];
}

/** Removes what runs that were killed have left: of those of the first version the whole database in clear. */
export async function sweepScratch(folder: string, report: Report): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) {
    const [matches, pid] = FORM.exec(name) ?? [];
    if (matches === undefined || (pid !== undefined && isAlive(Number(pid)))) continue;
    try {
      await rm(join(folder, name), { recursive: true, force: true });
      report.warn(`removed ${join(folder, name)}, which an unfinished restore had left.`);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      report.warn(
        `${join(folder, name)}, which an unfinished restore has left, could not be removed (${code}).`,
      );
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, and another user's.
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
