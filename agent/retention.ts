import { type CatalogueEntry, isGood, listBackups } from "../storage/catalogue.ts";
import { deleteBackup } from "../storage/deleteBackup.ts";
import { isDenied } from "../storage/explain.ts";
import { Problem } from "../storage/problem.ts";
import type { BackupContext } from "./backup.ts";
import type { AgentSettings } from "./environment.ts";

type Keep = NonNullable<AgentSettings["keep"]>;

const DAY_MS = 86_400_000;

/**
 * Which backups of one database may go: older than `keep.days` by their own time, not among the newest `keep.atLeast`
 * good ones, and with a newer good one there. Unfinished and suspect ones go by the same rule, without being counted.
 */
export function expiredBackups(
  entries: readonly CatalogueEntry[],
  keep: Keep,
  now: Date,
): CatalogueEntry[] {
  const good = entries.filter(isGood).toSorted((a, b) => b.stamp.localeCompare(a.stamp));
  const stay = new Set(good.slice(0, keep.atLeast));
  const newest = good[0]?.stamp ?? "";
  const limit = new Date(now.getTime() - keep.days * DAY_MS).toISOString().slice(0, 19);
  return entries.filter((entry) => entry.stamp < limit && entry.stamp < newest && !stay.has(entry));
}

/**
 * Deletes the expired backups of the context's database. A key that may not delete is no failure: then the bucket's own
 * rule expires them.
 * @throws Problem when it fails for another reason; the new backup is complete all the same
 */
export async function prune(context: BackupContext, keep: Keep): Promise<void> {
  const { settings, store, report, signal } = context;
  const { database } = settings.postgres;
  const expired = expiredBackups(await listBackups(store, database), keep, new Date());
  let deleted = 0;
  try {
    for (const entry of expired.toReversed()) {
      signal.throwIfAborted();
      await deleteBackup(store, entry);
      deleted += 1;
    }
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (!isDenied(error.cause)) {
      throw new Problem(`the new backup is complete, but old ones stay: ${error.message}`, {
        cause: error,
      });
    }
    report.notice(
      `BACKUP_KEEP_DAYS: the key may not delete, so ${expired.length - deleted} backups older than ${keep.days} days stay until the bucket's own rule expires them.`,
    );
  }
  if (deleted > 0) {
    report.line(`Deleted ${deleted} backups of ${database} older than ${keep.days} days.`);
  }
}
