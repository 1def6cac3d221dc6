import { existsSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DestinationName } from "./context.ts";

/**
 * Leaves the result of a backup where the health check looks: one line, `ok EPOCH` or `failed EPOCH sentence`. The
 * container's root is read-only, so this lies in memory; the wrapper names the folder, elsewhere nothing is written.
 * @param failure the error's sentence, free of secrets; absent: the backup is complete
 */
export function recordResult(folder: string | undefined, failure?: string): void {
  if (folder === undefined || folder === "") return;
  const now = Math.floor(Date.now() / 1000);
  const text = failure === undefined ? `ok ${now}` : `failed ${now} ${failure.split("\n")[0]}`;
  const path = join(folder, "agent.result");
  writeFileSync(`${path}.new`, `${text}\n`);
  // The health check may read at any moment: it sees the old line or the new one.
  renameSync(`${path}.new`, path);
}

/**
 * Leaves what is wrong with the settings, though backups can be made, for the health check to tell until the first run has
 * ended and told its result. A container's settings never change, so it is never taken back.
 * @param sentence one line, free of secrets
 */
export function recordFault(folder: string | undefined, sentence: string): void {
  if (folder === undefined || folder === "") return;
  writeFileSync(join(folder, "agent.fault"), `${sentence}\n`);
}

/**
 * Leaves a remark that the health check repeats behind its own sentence while the container lives: something to know about
 * that is no failure.
 * @param place it is about; each has one
 * @param sentence one line, free of secrets
 * @returns whether it is new; always true where nothing can be written
 */
export function leaveRemark(
  folder: string | undefined,
  place: DestinationName,
  sentence: string,
): boolean {
  if (folder === undefined || folder === "") return true;
  const path = remarkIn(folder, place);
  if (existsSync(path)) return false;
  writeFileSync(path, `${sentence}\n`);
  return true;
}

/** Takes the remark back: it no longer holds. */
export function dropRemark(folder: string | undefined, place: DestinationName): void {
  if (folder === undefined || folder === "") return;
  rmSync(remarkIn(folder, place), { force: true });
}

function remarkIn(folder: string, place: DestinationName): string {
  return join(folder, `agent.remark.${place}`);
}
