import type { KeepSettings } from "../../common/contracts/agentEnvironment/backup.ts";
import { Problem } from "../../common/problem.ts";
import {
  type CatalogueEntry,
  isGood,
  latestFirst,
} from "../../storage/catalogue/catalogueEntry.ts";
import { countingBackups, isAheadOfTime } from "../../storage/catalogue/countingBackups.ts";
import { deleteBackup, deleteObject } from "../../storage/catalogue/deleteBackup.ts";
import { listJudged } from "../../storage/catalogue/judgeOrigin.ts";
import {
  drillStem,
  parseDrillKey,
  recordStamp,
  recordStem,
  stampOf,
} from "../../storage/catalogue/objectKeys.ts";
import { explain, isDenied } from "../../storage/s3/errors.ts";
import { trustOf } from "../archive/trust.ts";
import {
  type AgentContext,
  CopyFailed,
  type DestinationName,
  untilStopped,
} from "../runtime/context.ts";
import { clearRemark, setRemark } from "../runtime/healthRecord.ts";
import type { DestinationResults } from "./destinationResults.ts";

const DAY_MS = 86_400_000;

const daysBefore = (now: Date, days: number) => stampOf(new Date(now.getTime() - days * DAY_MS));

/**
 * Which backups of one database may go: older than `keep.days` by their own time, not among the latest `keep.atLeast`
 * good ones, and with a newer good one there. Unfinished and suspect ones go by the same rule, without being counted.
 */
export function expiredBackups(
  entries: readonly CatalogueEntry[],
  keep: KeepSettings,
  now: Date,
): CatalogueEntry[] {
  const counting = countingBackups(entries);
  // Those of the old image, and those that are older than signing or encrypting, stay by the same number, though they do not count
  // beside the others: nobody can tell them from what somebody else has put there, which must not push a true one out.
  const counted = new Set(counting);
  const old = entries.filter(
    (entry) => isGood(entry) && !counted.has(entry) && !isAheadOfTime(entry),
  );
  const good = [...counting, ...old].toSorted(latestFirst);
  const stay = new Set([...counting.slice(0, keep.atLeast), ...good.slice(0, keep.atLeast)]);
  const latest = counting[0]?.stamp ?? "";
  const limit = daysBefore(now, keep.days);
  return entries.filter((entry) => entry.stamp < limit && entry.stamp < latest && !stay.has(entry));
}

/** The words for each destination in messages. */
const WORDS = {
  first: { key: "the key", one: "backup", many: "backups" },
  copy: { key: "the copy's key", one: "copy", many: "copies" },
} as const;
const RECORDS = "records of restores and drills";

/**
 * Deletes the expired backups of the context's database, and the expired records of restores and drills, in each bucket that has got the
 * new backup, and only there: a newer good one is known to be in it. Copies in folders by calendar are left to the folders' own
 * rules, which keep the monthly ones longer. Each bucket fails alone.
 * @param stateFolder where the health check looks; absent: outside a container
 * @throws Problem when a bucket fails for another reason than its key; the new backup is complete all the same. When the
 * run has failed already, that is only a warning
 */
export async function deleteExpired(
  context: AgentContext,
  keep: KeepSettings,
  results: DestinationResults,
  stateFolder = process.env["AGENT_STATE_DIR"],
): Promise<void> {
  const { copy, report, signal } = context;
  const stores = {
    first: context.store,
    copy: copy?.store && !copy.tiers ? copy.store : undefined,
  };
  const failures = new Map<DestinationName, Problem>();
  for (const name of ["first", "copy"] as const) {
    const store = stores[name];
    if (store === undefined || results.goodManifest(name) === undefined || signal.aborted) continue;
    try {
      await deleteExpiredIn({ ...context, store }, name, keep, stateFolder);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      failures.set(name, error);
    }
  }
  if (failures.size === 0) return;
  const message = [...failures].map(([name, error]) => notDeleted(name, error)).join(" ");
  if (results.hasFailed) {
    report.warn(message);
    return;
  }
  const cause = failures.get("first");
  if (cause === undefined) throw new CopyFailed(message, { cause: failures.get("copy") });
  throw new Problem(message, { cause });
}

function notDeleted(name: DestinationName, error: Problem): string {
  const { one, many } = WORDS[name];
  return `the new ${one} is complete, but old ${many} stay: ${error.message}`;
}

/**
 * Deletes in the context's store. A key that may not delete, or not even list, is no failure: then the bucket's own rule
 * expires them. There is one warning for the bucket in the life of the container; from then on its health check has a
 * remark.
 */
async function deleteExpiredIn(
  { settings, store, report, signal }: AgentContext,
  name: DestinationName,
  keep: KeepSettings,
  stateFolder: string | undefined,
): Promise<void> {
  const { database } = settings.postgres;
  const { key, many } = WORDS[name];
  let found: Expired | undefined;
  const deleted = { backups: 0, records: 0 };
  try {
    found = await untilStopped(signal, findExpired({ settings, store, report }, name, keep));
    // The oldest first: what is cut in two goes on there.
    for (const entry of found.backups.toReversed()) {
      signal.throwIfAborted();
      await deleteBackup(store, entry);
      deleted.backups += 1;
    }
    for (const record of found.records) {
      signal.throwIfAborted();
      await deleteObject(store, record);
      deleted.records += 1;
    }
    if (deleted.backups + deleted.records > 0) clearRemark(stateFolder, name);
  } catch (error) {
    if (!(error instanceof Problem) || !isDenied(error.cause)) throw error;
    const reason = `BACKUP_KEEP_DAYS: ${key} may not ${found ? "delete" : "list the bucket"}, so`;
    const until = "until the bucket's own rule expires them";
    const left = (found?.backups.length ?? 0) - deleted.backups;
    const what = found === undefined || left > 0 ? many : RECORDS;
    if (setRemark(stateFolder, name, `${reason} old ${what} stay ${until}`)) {
      const number = left || (found?.records.length ?? 0) - deleted.records;
      const which = found === undefined ? "the" : `${number}`;
      report.warn(`${reason} ${which} ${what} older than ${keep.days} days stay ${until}.`);
    }
  }
  if (deleted.backups > 0) {
    report.line(`Deleted ${deleted.backups} ${many} of ${database} older than ${keep.days} days.`);
  }
  if (deleted.records > 0) {
    report.line(`Deleted ${deleted.records} ${RECORDS} older than ${keep.days} days.`);
  }
}

/** What may go from a bucket. */
interface Expired {
  readonly backups: readonly CatalogueEntry[];
  /** Keys of the records of restores and drills, whatever database they are about: `history` shows them together. */
  readonly records: readonly string[];
}

async function findExpired(
  { settings, store, report }: Pick<AgentContext, "settings" | "store" | "report">,
  name: DestinationName,
  keep: KeepSettings,
): Promise<Expired> {
  const now = new Date();
  const entries = await listJudged(store, settings.postgres.database, trustOf(settings), {
    enough: keep.atLeast,
    onUnread: ({ stamp }, reason) =>
      report.warn(`the ${WORDS[name].one} of ${stamp} stays for now, whatever its age: ${reason}`),
  });
  const records: string[] = [];
  const { address } = store;
  const limit = daysBefore(now, keep.days);
  try {
    for (const stem of [recordStem(address.prefix), drillStem(address.prefix)]) {
      for await (const { key } of store.list(stem)) {
        const stamp = recordStamp(address.prefix, key) ?? parseDrillKey(address.prefix, key)?.stamp;
        if (stamp !== undefined && stamp < limit) records.push(key);
      }
    }
  } catch (error) {
    throw explain(error, address, `list the ${RECORDS}`);
  }
  return { backups: expiredBackups(entries, keep, now), records };
}
