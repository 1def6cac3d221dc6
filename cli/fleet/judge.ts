import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { formatBytes } from "../../common/format.ts";
import { aws, matchHost, other } from "../../storage/address/providers.ts";
import { countingBackups } from "../../storage/catalogue/countingBackups.ts";
import { monthlyCost } from "../../storage/planning/costs.ts";
import { isFailed, judgeDrills } from "../backups/drillFreshness.ts";
import { type Freshness, judgeAge } from "../backups/freshness.ts";
import { formatAge, stampTime } from "../terminal/format.ts";
import type { Looked, StoredDatabase } from "./look.ts";

/** `unknown`: it could not be looked at, which is neither good news nor bad. */
export type Verdict = "ok" | "attention" | "unknown";

/** A database with what is to be said of it. */
export interface JudgedDatabase extends StoredDatabase, Freshness {}

/** One application's row. */
export interface Application extends Looked {
  /** `shop production` */
  readonly title: string;
  readonly verdict: Verdict;
  /** What somebody must see to, the worst first, a clause each. */
  readonly attention: readonly string[];
  readonly databases: readonly JudgedDatabase[];
  /** All that is stored, of every database and with the copies. */
  readonly storedBytes: number;
  /** Absent where no price is known. */
  readonly monthlyUsd?: number;
}

/** Judges what was looked at. */
export function judge(looked: Looked, now: number): Application {
  const { stack, backup, pending, failure } = looked;
  // Without a name it is the selected one.
  const title = [backup?.name, stack].filter(Boolean).join(" ") || "the selected stack";
  const databases = looked.databases.map((one) => ({
    ...one,
    ...(backup ? judgeAge(backup, one.entries, now) : NOTHING),
  }));
  const several = databases.length > 1;
  const attention = [
    ...(failure === undefined ? [] : [failure]),
    ...databases.filter(({ withinRpo }) => !withinRpo).map((one) => named(several, one, one.text)),
    ...(backup !== undefined && failure === undefined && databases.length === 0
      ? ["no backup of any database"]
      : []),
    ...lateCopies(looked, now),
    ...databases.flatMap((one) => {
      const fault = drillFault(backup, one, now);
      return fault === undefined ? [] : [named(several, one, fault)];
    }),
    ...(pending === 0 ? [] : ["an update was cut off: pulumi up, and look what is there"]),
  ];
  const all = [...looked.databases, ...(looked.copies ?? [])].flatMap(({ entries }) => entries);
  const storedBytes = all.reduce((sum, { bytes }) => sum + bytes, 0);
  const cost = monthlyOf(looked);
  return {
    ...looked,
    title,
    databases,
    attention,
    verdict: failure !== undefined ? "unknown" : attention.length > 0 ? "attention" : "ok",
    storedBytes,
    ...(cost !== undefined && { monthlyUsd: cost }),
  };
}

const NOTHING: Freshness = { latest: undefined, withinRpo: true, text: "" };

function named(several: boolean, { database }: StoredDatabase, text: string): string {
  return several ? `${database}: ${text}` : text;
}

function lateCopies({ backup, copies = [] }: Looked, now: number): string[] {
  if (backup?.copy === undefined) return [];
  const copied = { ...backup, ...backup.copy };
  return copies.flatMap(({ database, entries }) => {
    const { withinRpo, text } = judgeAge(copied, entries, now);
    return withinRpo ? [] : [`copy of ${database}: ${text}`];
  });
}

/** What is wrong with the drills; undefined: nothing, or nobody has asked for any. */
function drillFault(
  backup: BackupOutputs | undefined,
  stored: StoredDatabase,
  now: number,
): string | undefined {
  const judged = backup && judgeDrills(backup, stored, now);
  if (judged === undefined) return undefined;
  if (isFailed(judged.newest)) return `the newest drill failed: ${judged.newest?.reason}`;
  return judged.inTime ? undefined : `drill: ${judged.text}`;
}

/** Each bucket by its own provider; undefined where one of them has no known price. */
function monthlyOf({ backup, databases, copies = [] }: Looked): number | undefined {
  if (backup === undefined) return undefined;
  const places = [
    [backup.location, databases],
    ...(backup.copy ? [[backup.copy.location, copies] as const] : []),
  ] as const;
  let sum = 0;
  for (const [{ endpoint }, stored] of places) {
    const provider =
      endpoint === undefined ? aws : (matchHost(new URL(endpoint).hostname)?.provider ?? other);
    const bytes = stored.flatMap(({ entries }) => entries).reduce((all, one) => all + one.bytes, 0);
    const cost = monthlyCost(provider.name, bytes, backup.usdPerGbMonth);
    if (cost === undefined) return undefined;
    sum += cost.usd;
  }
  return sum;
}

/** The newest drill in a few words: `2 d, passed`; a dash: none. */
export function drillText({ drills }: StoredDatabase, now: number): string {
  const [newest] = drills;
  if (newest === undefined) return "-";
  const verdict = newest.verdict === "couldNotRun" ? "could not run" : newest.verdict;
  return `${formatAge(now - Date.parse(newest.startedAt))}, ${verdict}`;
}

/** `7/35/365 d`, `30 d`; a dash: the bucket's rules are not known. */
export function keptText({ backup }: Looked): string {
  if (backup?.tierDays !== undefined) {
    const { daily, weekly, monthly } = backup.tierDays;
    return `${daily}/${weekly}/${monthly} d`;
  }
  return backup?.retentionDays === undefined ? "-" : `${backup.retentionDays} d`;
}

/** `30 d governance` */
export function lockText({ lock }: Looked): string {
  return lock === undefined ? "-" : `${lock.days} d ${lock.mode.toLowerCase()}`;
}

export function newestText({ latest }: Freshness): string {
  return latest === undefined ? "-" : formatBytes(latest.bytes);
}

export function ageText({ latest }: Freshness, now: number): string {
  return latest === undefined ? "-" : formatAge(now - stampTime(latest.stamp));
}

/** Sizes of the backups that count, oldest first. */
export function sizesOf({ entries }: StoredDatabase, most: number): number[] {
  return countingBackups(entries)
    .slice(0, most)
    .map(({ bytes }) => bytes)
    .reverse();
}

const LEVELS = "▁▂▃▄▅▆▇█";

/** A bar for each size, the largest full: half the size is half the height. */
export function sparkline(sizes: readonly number[]): string {
  const largest = Math.max(...sizes, 1);
  return sizes
    .map((size) => LEVELS[Math.min(7, Math.max(0, Math.ceil((size / largest) * 8) - 1))])
    .join("");
}
