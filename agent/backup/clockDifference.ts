import { CLOCK_TOLERANCE_MS } from "../../storage/catalogue/countingBackups.ts";
import { stampOf } from "../../storage/catalogue/objectKeys.ts";

/** What to do about clocks that differ, in place of accepting the backup: its stamp stays wrong. */
export const CLOCK_REMEDY =
  "Set the clock of the database's host (NTP), then take another one: backup.";

/**
 * Why a snapshot's stamp cannot be right, by the clock of the service that will store it; null: it can, or the service has
 * not told its time.
 * @param takenAt by the database server's clock
 * @param service its time before and after the snapshot was taken, which may have waited for locks
 */
export function clockDifference(
  takenAt: Date,
  service: { readonly before: Date | undefined; readonly after: Date | undefined; name: string },
): string | null {
  const { before, after, name } = service;
  if (before === undefined || after === undefined) return null;
  const stamp = takenAt.getTime();
  const ahead = stamp > after.getTime() + CLOCK_TOLERANCE_MS;
  const behind = stamp < before.getTime() - CLOCK_TOLERANCE_MS;
  if (!ahead && !behind) return null;
  const [theirs, way] = ahead ? [after, "ahead of"] : [before, "behind"];
  return `the clock of the database's server says ${stampOf(takenAt)}Z, which is ${way} that of ${name}, ${stampOf(theirs)}Z, by more than 5 minutes`;
}
