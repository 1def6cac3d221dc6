import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { REMARK_FILES, resultLine, STATE_FILES } from "../../common/contracts/containerState.ts";
import { type WalState, walStateSchema } from "../../common/contracts/pointInTime.ts";
import type { DestinationName } from "./context.ts";

// The container's root is read-only, so its state lies in memory; the image names the folder. Outside of a container
// there is none, and nothing is written.
type StateFolder = string | undefined;

/**
 * Leaves the result of a run where the health check looks.
 * @param failure the error's sentence, free of secrets; absent: the backup is complete
 */
export function recordResult(folder: StateFolder, failure?: string): void {
  if (folder === undefined || folder === "") return;
  const path = join(folder, STATE_FILES.result);
  writeFileSync(`${path}.new`, `${resultLine(new Date(), failure)}\n`);
  // The health check may read at any moment: it sees the old line or the new one.
  renameSync(`${path}.new`, path);
}

/** Why the last run of this container failed; null: it did not, or none has run. */
export function readLastFailure(folder: StateFolder): string | null {
  if (folder === undefined || folder === "") return null;
  const path = join(folder, STATE_FILES.result);
  if (!existsSync(path)) return null;
  return /^failed \d+ (.*)/.exec(readFileSync(path, "utf8"))?.[1] ?? null;
}

/**
 * Leaves what is wrong with the settings, though backups can be made, for the health check to say until the first run has
 * ended and left its result. A container's settings never change, so it is never taken back.
 * @param sentence one line, free of secrets
 */
export function recordFault(folder: StateFolder, sentence: string): void {
  if (folder === undefined || folder === "") return;
  writeFileSync(join(folder, STATE_FILES.fault), `${sentence}\n`);
}

/**
 * Leaves a remark that the health check repeats while the container lives: something to know about that is no failure.
 * @param destination the bucket that it is about; each has one remark
 * @param sentence one line, free of secrets
 * @returns whether it is new; always true where nothing can be written
 */
export function setRemark(
  folder: StateFolder,
  destination: DestinationName,
  sentence: string,
): boolean {
  if (folder === undefined || folder === "") return true;
  const path = join(folder, REMARK_FILES[destination]);
  if (existsSync(path)) return false;
  writeFileSync(path, `${sentence}\n`);
  return true;
}

/** Takes the remark back: it no longer holds. */
export function clearRemark(folder: StateFolder, destination: DestinationName): void {
  if (folder === undefined || folder === "") return;
  rmSync(join(folder, REMARK_FILES[destination]), { force: true });
}

/**
 * Leaves how archiving of the WAL goes: in a line for the health check, in figures for the command line.
 * @param state its texts are free of secrets
 * @param wellAt when everything that the server had written was in the bucket last
 */
export function recordWal(folder: StateFolder, state: WalState, wellAt: Date): void {
  if (folder === undefined || folder === "") return;
  const epoch = Math.floor(wellAt.getTime() / 1000);
  for (const [name, line] of [
    [STATE_FILES.wal, `${epoch} ${state.problem?.split("\n")[0] ?? ""}`.trim()],
    [STATE_FILES.walFigures, JSON.stringify(state)],
  ] as const) {
    const path = join(folder, name);
    writeFileSync(`${path}.new`, `${line}\n`);
    renameSync(`${path}.new`, path);
  }
}

/** When the WAL had reached the bucket last, by the line that was left; undefined: there is none. */
export function readWalWellAt(folder: StateFolder): Date | undefined {
  if (folder === undefined || folder === "") return undefined;
  const path = join(folder, STATE_FILES.wal);
  if (!existsSync(path)) return undefined;
  const epoch = Number.parseInt(readFileSync(path, "utf8"), 10);
  return Number.isNaN(epoch) ? undefined : new Date(epoch * 1000);
}

/** How archiving goes by what it has left; null: it has not begun, or is not switched on. */
export function readWal(folder: StateFolder): WalState | null {
  if (folder === undefined || folder === "") return null;
  try {
    const text = readFileSync(join(folder, STATE_FILES.walFigures), "utf8");
    return walStateSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
