import { Problem } from "../../common/problem.ts";
import { openStem, pointInTimeStem } from "../catalogue/pointInTimeKeys.ts";

/** One rule of a bucket, in neutral terms: the SDK's form and Pulumi's are made from it. */
export interface LifecycleRule {
  readonly id: string;
  /** Keys that the rule is for, with the slash at the end; `""`: the whole bucket. */
  readonly prefix: string;
  /** Days until the current version expires. */
  readonly expirationDays?: number;
  /** Days until a version that was overwritten or deleted is gone for good. */
  readonly noncurrentDays?: number;
  /** Removes delete markers that have no version left behind them. */
  readonly expiredObjectDeleteMarker?: true;
  /** Days until an unfinished upload is removed. */
  readonly abortIncompleteMultipartDays?: number;
  /** Cheaper storage classes for what grows old. */
  readonly transitions?: readonly Transition[];
}

/** A move to another storage class. */
export interface Transition {
  /** Days from the upload until the move. */
  readonly days: number;
  /** @example "STANDARD_IA" */
  readonly storageClass: string;
}

export interface BackupLifecycle {
  /** Folder, without slash at either end; `""`: the whole bucket. */
  readonly prefix: string;
  /** Until a backup expires; with `tiers`, a daily one. */
  readonly days: number;
  /** Until an overwritten or deleted backup is gone for good. */
  readonly noncurrentDays: number;
  /** Until an unfinished upload is removed; must be longer than the longest upload. */
  readonly abortDays: number;
  /** Until a weekly and a monthly backup expires, each in a folder of its own below `prefix`. */
  readonly tiers?: { readonly weekly: number; readonly monthly: number };
  readonly transitions?: readonly Transition[];
  /** What point-in-time recovery stores below a folder of backups. */
  readonly pointInTime?: {
    /** That folder, without slash at either end. */
    readonly prefix: string;
    /** Until WAL and base backups expire. */
    readonly days: number;
  };
}

/**
 * Until pieces of open segments and marks of life expire, days. A piece is of use until its segment is whole, which is a
 * matter of hours; a week is for whoever looks back at what an agent did.
 */
export const OPEN_DAYS = 7;

/**
 * The rules of a bucket of backups. Expiry by days and by marker are two rules, because S3 refuses both in one; the
 * removal of unfinished uploads is for the whole bucket, because some services refuse it with a prefix.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleExpiration.html
 * @throws Problem when a number is not a positive integer, or two of them contradict each other
 */
export function backupLifecycle(settings: BackupLifecycle): LifecycleRule[] {
  check(settings);
  const { prefix, days, noncurrentDays, abortDays, tiers, transitions = [] } = settings;
  const { pointInTime } = settings;
  const folder = prefix === "" ? "" : `${prefix}/`;
  const expire = (id: string, below: string, expirationDays: number): LifecycleRule => {
    const moves = transitions.filter((move) => move.days < expirationDays);
    return {
      id,
      prefix: below,
      expirationDays,
      noncurrentDays,
      ...(moves.length > 0 && { transitions: moves }),
    };
  };
  return [
    ...(tiers
      ? [
          // For what lies beside the tiers, from the time before them. Of overlapping rules the shortest wins.
          expire("expire", folder, tiers.monthly),
          expire("expire-daily", `${folder}daily/`, days),
          expire("expire-weekly", `${folder}weekly/`, tiers.weekly),
          expire("expire-monthly", `${folder}monthly/`, tiers.monthly),
          expire("expire-suspect", `${folder}suspect/`, days),
        ]
      : [expire("expire", folder, days)]),
    ...(pointInTime
      ? [
          expire("expire-pitr", pointInTimeStem(pointInTime.prefix), pointInTime.days),
          expire("expire-pitr-open", openStem(pointInTime.prefix), OPEN_DAYS),
        ]
      : []),
    { id: "expired-markers", prefix: folder, expiredObjectDeleteMarker: true },
    { id: "abort-unfinished", prefix: "", abortIncompleteMultipartDays: abortDays },
  ];
}

function check(settings: BackupLifecycle) {
  const { days, noncurrentDays, abortDays, tiers, transitions = [], pointInTime } = settings;
  const counts = {
    days,
    noncurrentDays,
    abortDays,
    ...(pointInTime && { "pointInTime.days": pointInTime.days }),
    ...(tiers && { "tiers.weekly": tiers.weekly, "tiers.monthly": tiers.monthly }),
    ...Object.fromEntries(transitions.map((move, i) => [`transitions[${i}].days`, move.days])),
  };
  for (const [name, value] of Object.entries(counts)) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new Problem(
        `${name} is ${value}; a lifecycle rule needs a whole number of days, 1 or more.`,
      );
    }
  }
  if (tiers && !(days <= tiers.weekly && tiers.weekly <= tiers.monthly)) {
    throw new Problem(
      `tiers: daily backups are kept ${days} days, weekly ${tiers.weekly}, monthly ${tiers.monthly}; a rarer one must not go before a more frequent one.`,
    );
  }
  const longest = tiers?.monthly ?? days;
  const late = transitions.find((move) => move.days >= longest);
  if (late !== undefined) {
    throw new Problem(
      `transitions: a move to ${late.storageClass} after ${late.days} days never takes place, because every backup expires within ${longest} days. Move earlier, or keep longer.`,
    );
  }
}
