import { atMost, gigabytes } from "./costs.ts";
import { daysOf } from "./retentionForecast.ts";
import { contradiction, durationOf } from "./retentionProof.ts";

/** What decides how long WAL and base backups must live. */
export interface WindowPlan {
  /** Days back of which any second is to be reachable. */
  readonly keepDays: number;
  /** Longest time between two base backups, hours. */
  readonly baseGapHours: number;
}

/**
 * Base backups that may fail in a row before the window shrinks. The agent tries a failed one again after an hour and then daily,
 * and whoever is notified has the time between two of them to mend what is wrong.
 */
const FAILED_BASES = 1;
const HOURS = 24;

/**
 * Days that each object of point-in-time recovery must live: the oldest second of the window is reached from the base before
 * it, which may be as old as the distance of two bases, and as two distances where the one between has failed. All WAL since
 * that base is needed too, so one figure holds for both. One day more, because services expire by whole days after the upload
 * and a base takes a while.
 */
export function pointInTimeDays({ keepDays, baseGapHours }: WindowPlan): number {
  return Math.ceil(keepDays + (baseGapHours / HOURS) * (1 + FAILED_BASES) - 1e-9) + 1;
}

/** What the reader of a message called the settings. */
export interface WindowNames {
  readonly keep: string;
  readonly base: string;
  readonly retention: string;
}

/**
 * Proves that what recovery needs is still there when it is needed. Of overlapping rules the one that expires first wins, and the
 * rule of the dumps holds for the whole folder: so it must keep as long as recovery needs.
 * @param bucketDays days after which the bucket's rules expire what is no dump
 * @param baseSchedule as the user wrote it
 * @throws Problem that names both settings and the figures that work
 */
export function provePointInTime(
  plan: WindowPlan,
  {
    bucketDays,
    baseSchedule,
    names,
  }: {
    readonly bucketDays: number;
    readonly baseSchedule: string;
    readonly names: WindowNames;
  },
): void {
  const needed = pointInTimeDays(plan);
  if (bucketDays >= needed) return;
  const { keepDays, baseGapHours } = plan;
  const spare = bucketDays - 1;
  const keepInstead = Math.floor(spare - (baseGapHours / HOURS) * (1 + FAILED_BASES) + 1e-9);
  const gapInstead = Math.floor(((spare - keepDays) * HOURS) / (1 + FAILED_BASES));
  const remedies = [
    `keep backups at least ${daysOf(needed)} (${names.retention})`,
    ...(keepInstead >= 1 ? [`set ${names.keep} to at most ${keepInstead}d`] : []),
    ...(gapInstead >= 1
      ? [`take a base backup at least every ${durationOf(gapInstead)} (${names.base})`]
      : []),
  ];
  throw contradiction(
    `${names.keep} and ${names.retention} contradict each other`,
    `${names.keep} ${daysOf(keepDays)}, ${names.base} "${baseSchedule}" (up to ${durationOf(baseGapHours)} from one base backup to the next), ${names.retention} ${daysOf(bucketDays)}`,
    `when one base backup fails, the older part of the ${daysOf(keepDays)} cannot be recovered, because the rule for the backups' folder removes the WAL and the base before it after ${daysOf(bucketDays)}`,
    remedies.join(", or "),
  );
}

/** What is assumed of a database where its backups' size is all that is known. */
const ASSUMED = {
  /** A base holds indexes and free space too, which a dump has not. */
  baseBytesPerBackup: 2,
  /** A day's WAL, compressed. Writes differ more than anything else between applications. */
  dailyWalPerBackup: 0.5,
} as const;

/** Marks of life in a day: one every five minutes. */
const ALIVE_PER_DAY = 288;
const DAY_SECONDS = 86_400;

/**
 * What point-in-time recovery costs in the bucket, in one sentence for the preview.
 * @param basesPerDay on average
 * @param openDays days that pieces of open segments stay
 * @param backupBytes size of one stored dump; absent: not known
 */
export function describePointInTime(
  plan: WindowPlan,
  {
    basesPerDay,
    rpoSeconds,
    keptDays,
    openDays,
    backupBytes,
    names,
  }: {
    readonly basesPerDay: number;
    readonly rpoSeconds: number;
    readonly keptDays: number;
    readonly openDays: number;
    readonly backupBytes: number | undefined;
    readonly names: { readonly keep: string; readonly backupBytes: string };
  },
): string {
  const perDay = Math.ceil(DAY_SECONDS / rpoSeconds) + ALIVE_PER_DAY;
  const bases = atMost(basesPerDay, keptDays);
  const needs = `${names.keep}: any second of the last ${daysOf(plan.keepDays)} needs base backups and WAL of ${daysOf(pointInTimeDays(plan))}`;
  const objects = `A server that is written to all the time adds up to ${perDay} small objects a day, ${perDay * openDays} of them at a time`;
  if (backupBytes === undefined) {
    return `${needs}: ${bases} base backups at a time. ${objects}. Set ${names.backupBytes} to see how many bytes that comes to.`;
  }
  const { baseBytesPerBackup, dailyWalPerBackup } = ASSUMED;
  const bytes = backupBytes * (bases * baseBytesPerBackup + keptDays * dailyWalPerBackup);
  return `${needs}: ${bases} base backups at a time and ${keptDays} days of WAL, about ${gigabytes(bytes)} where a base takes ${baseBytesPerBackup} times ${names.backupBytes} and a day's WAL half of it, which differs much between applications. ${objects}.`;
}
