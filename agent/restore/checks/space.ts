import { access, constants, statfs } from "node:fs/promises";
import { formatBytes } from "../../../common/format.ts";
import { Problem } from "../../../common/problem.ts";

/**
 * Checks the folder for the archive before anything is made.
 * @param needed size of the unpacked archive, bytes
 * @param isEstimate the size is the most that it can be, and it may well be less
 * @returns a warning where an estimate does not fit; null: it fits
 * @throws Problem when there is no such folder, it may not be written to, or has too little room for certain
 */
export async function requireFreeSpace(
  folder: string,
  needed: number,
  isEstimate: boolean,
): Promise<string | null> {
  const { bavail, bsize } = await statfs(folder).catch((error: NodeJS.ErrnoException) => {
    throw new Problem(`the scratch folder ${folder} cannot be used (${error.code}).`, {
      cause: error,
    });
  });
  await access(folder, constants.W_OK | constants.X_OK).catch((error: NodeJS.ErrnoException) => {
    throw notWritable(folder, error);
  });
  const free = bavail * bsize;
  if (free >= needed) return null;
  if (isEstimate) {
    return `the scratch folder ${folder} has ${formatBytes(free)} free, and the unpacked archive may take up to ${formatBytes(needed)}; if it does not fit, nothing is changed.`;
  }
  throw new Problem(
    `the scratch folder ${folder} has ${formatBytes(free)} free, and the unpacked archive takes ${formatBytes(needed)}. Give a larger one, or restore without it.`,
  );
}

/** Why nothing can be put into the folder, and what helps. */
export function notWritable(folder: string, error: NodeJS.ErrnoException): Problem {
  const user = process.getuid?.();
  return new Problem(
    `the scratch folder ${folder} cannot be written to (${error.code}). Mount a named volume at /scratch, which belongs to the container's user, or give the mounted folder to that user: chown ${user} FOLDER.`,
    { cause: error },
  );
}

/** Whether a message of PostgreSQL means that the server's disk is full. */
export function isFullDisk(text: string): boolean {
  return /No space left on device|could not extend file/.test(text);
}
