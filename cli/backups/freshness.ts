import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import {
  countingBackups,
  describeObjection,
  objectionTo,
} from "../../storage/catalogue/countingBackups.ts";
import { ageHours, formatAge, formatStamp, stampTime } from "../terminal/format.ts";
import type { Source, StoredBackups } from "./source.ts";

/** Whether the latest complete backup of a database is within the RPO. */
export interface Freshness {
  readonly latest: CatalogueEntry | undefined;
  readonly withinRpo: boolean;
  /** `newest backup 7 h old, RPO 26 h: ok` */
  readonly text: string;
  /** Why none counts although there are some; absent: one does, or there are none. */
  readonly missing?: string;
}

/** The same of a named database, and who has listed its backups. */
export interface DatabaseFreshness extends Freshness {
  /** Empty where not even the databases are known. */
  readonly database: string;
  /** null: nobody; `text` says why, and `withinRpo` means nothing then. */
  readonly source: Source | null;
}

/**
 * Judges the latest complete backup against the RPO of the outputs.
 * @param entries newest first
 * @param runningMs how long the container has been running: where there is no backup of ours at all, the first is due within the RPO
 */
export function judgeAge(
  backup: BackupOutputs,
  entries: readonly CatalogueEntry[],
  now: number,
  runningMs = Number.POSITIVE_INFINITY,
): Freshness {
  const latest = countingBackups(entries).find(({ kind }) => kind === "ours");
  const rpo = `RPO ${backup.rpoHours} h`;
  const dueMs = backup.rpoHours * 3_600_000 - runningMs;
  if (entries.every(({ kind }) => kind === "legacy") && dueMs > 0) {
    const none = entries.length === 0 ? "no backup yet" : "none yet but those of the old image";
    const text = `${none}, ${rpo}: the first is due within ${formatAge(dueMs)}`;
    return { latest, withinRpo: true, text };
  }
  if (latest === undefined) {
    const missing = whyNone(entries);
    return {
      latest,
      withinRpo: false,
      text: `${missing ?? "no complete backup"}, ${rpo}: missed`,
      ...(missing !== undefined && { missing }),
    };
  }
  const withinRpo = ageHours(latest.stamp, now) <= backup.rpoHours;
  const age = formatAge(now - stampTime(latest.stamp));
  return {
    latest,
    withinRpo,
    text: `newest backup ${age} old, ${rpo}: ${withinRpo ? "ok" : "missed"}`,
  };
}

function whyNone(entries: readonly CatalogueEntry[]): string | undefined {
  const ahead = entries.find((entry) => objectionTo(entry) === "ahead of time");
  if (ahead !== undefined) {
    const stored = formatStamp(ahead.storedAt.slice(0, 19));
    return `no backup counts, for ${formatStamp(ahead.stamp)} is ahead of time (stored ${stored})`;
  }
  const foreign = entries.find(({ originProblem }) => originProblem);
  if (!foreign?.originProblem) return undefined;
  return `no backup counts; of ${formatStamp(foreign.stamp)} ${describeObjection(foreign.originProblem)}`;
}

/**
 * Names the backups whose dump was stored again after it was taken, for a person to look at; undefined: there are none.
 * @param listings of one place
 */
export function overwrittenText({ listings }: Pick<StoredBackups, "listings">): string | undefined {
  const found = listings.flatMap(({ entries }) =>
    entries.filter(({ overwritten }) => overwritten === true),
  );
  const [first] = found.toSorted((a, b) => b.stamp.localeCompare(a.stamp));
  if (first === undefined) return undefined;
  const more = found.length === 1 ? "" : ` and ${found.length - 1} more`;
  return `${first.database} of ${formatStamp(first.stamp)} UTC${more}: stored again after the manifest, which is written last; verify checks whether it is whole`;
}

/** Judges each database, also those whose backups nobody has listed. */
export function judgeDatabases(
  backup: BackupOutputs,
  { databases, listings, failure }: StoredBackups,
  now: number,
  runningMs?: number,
): DatabaseFreshness[] {
  const judged: DatabaseFreshness[] = listings.map(({ database, entries, source }) => ({
    ...judgeAge(backup, entries, now, runningMs),
    database,
    source,
  }));
  if (failure === undefined) return judged;
  const listed = new Set(listings.map(({ database }) => database));
  const unknown = (databases ?? [backup.database]).filter((database) => !listed.has(database));
  const text = `Not known: ${failure.message}`;
  return [
    ...judged,
    ...unknown.map((database) => {
      return { database, latest: undefined, withinRpo: false, text, source: null };
    }),
  ];
}
