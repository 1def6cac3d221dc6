import { type CatalogueEntry, isGood, listBackups } from "../storage/catalogue.ts";
import { deleteBackup } from "../storage/deleteBackup.ts";
import { isDenied } from "../storage/explain.ts";
import { Problem } from "../storage/problem.ts";
import type { BackupContext } from "./backup.ts";
import type { AgentSettings } from "./environment.ts";
import { dropRemark, leaveRemark } from "./state.ts";

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
 * Deletes the expired backups of the context's database. A key that may not delete, or not even list, is no failure: then
 * the bucket's own rule expires them. It is said once in the life of the container, and from then on by its health check.
 * @param stateFolder where the health check looks; absent: outside a container
 * @throws Problem when it fails for another reason; the new backup is complete all the same
 */
export async function prune(
  context: BackupContext,
  keep: Keep,
  stateFolder = process.env["AGENT_STATE_DIR"],
): Promise<void> {
  const { settings, store, report, signal } = context;
  const { database } = settings.postgres;
  let expired: CatalogueEntry[] | undefined;
  let deleted = 0;
  try {
    expired = expiredBackups(await listBackups(store, database), keep, new Date());
    for (const entry of expired.toReversed()) {
      signal.throwIfAborted();
      await deleteBackup(store, entry);
      deleted += 1;
    }
    if (deleted > 0) dropRemark(stateFolder);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (!isDenied(error.cause)) {
      throw new Problem(`the new backup is complete, but old ones stay: ${error.message}`, {
        cause: error,
      });
    }
    const reason = `BACKUP_KEEP_DAYS: the key may not ${expired ? "delete" : "list the bucket"}, so`;
    const until = "until the bucket's own rule expires them";
    if (leaveRemark(stateFolder, `${reason} old backups stay ${until}`)) {
      const which = expired ? `${expired.length - deleted}` : "the";
      report.notice(`${reason} ${which} backups older than ${keep.days} days stay ${until}.`);
    }
  }
  if (deleted > 0) {
    report.line(`Deleted ${deleted} backups of ${database} older than ${keep.days} days.`);
  }
}
