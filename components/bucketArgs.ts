import { Problem } from "../kamal/problem.ts";
import { Retention } from "../kamal/retention.ts";
import { backupLifecycle, type LifecycleRule, type Transition } from "../storage/lifecycle.ts";
import { checkLock, type ObjectLock } from "../storage/lock.ts";

/** Weekly and monthly backups, each kept for a time of its own. */
export interface TiersArgs {
  readonly weekly: Retention;
  readonly monthly: Retention;
}

/** What a bucket of backups is asked for, wherever it is. */
export interface BackupBucketArgs {
  /**
   * How long a backup is kept; the bucket itself expires it, so no key on the database host needs the right to delete.
   * @example Retention.days(30)
   */
  readonly retention: Retention;
  /**
   * How long an overwritten or deleted object can still be brought back.
   * @default 14 days
   */
  readonly noncurrentRetention?: Retention;
  /**
   * Folder that expiry is for. Must be given for a bucket that exists: a rule for the whole of it would remove whatever
   * else is in there.
   * @default the whole bucket
   * @example "shop/production"
   */
  readonly prefix?: string;
  /**
   * Keeps the first backup of a week and of a month longer; `retention` is then that of all others. Needs `prefix`, the
   * same as that of `PostgresBackup`.
   * @default every backup is kept for `retention`
   */
  readonly tiers?: TiersArgs;
  /**
   * Forbids deleting a backup for a number of days, with S3 Object Lock. A bucket cannot be rid of it again: taking the
   * argument away leaves the lock as it was.
   * @default none
   * @example { mode: "governance", days: 14 }
   * @example { mode: "compliance", days: 14, acceptCompliance: true }
   */
  readonly lock?: ObjectLock;
  /**
   * Deletes the bucket with every backup in it on `pulumi destroy`. Without it `destroy` leaves bucket and backups alone.
   * @default false
   */
  readonly forceDestroy?: boolean;
  /** Allows plain http to an `endpoint` that is not loopback. @default false */
  readonly allowInsecure?: boolean;
}

/**
 * Judges what a bucket is asked for, and makes its rules.
 * @param exists argument that says that the bucket is there already; undefined for a new one
 * @throws Problem that names the argument
 */
export function settleRules(
  args: BackupBucketArgs & { readonly transitions?: readonly Transition[] },
  exists: string | undefined,
): LifecycleRule[] {
  const { retention, prefix, tiers, transitions, lock } = args;
  if (prefix === undefined && (tiers || exists !== undefined)) {
    const why = tiers
      ? "tiers are folders below it"
      : `${exists} takes a bucket that exists, where a rule without a folder would expire whatever else is in it`;
    throw new Problem(
      `prefix: give the folder of the backups, for instance "shop/production": ${why}.`,
    );
  }
  if (lock) checkLock(lock, retention.days);
  return backupLifecycle({
    prefix: prefix ?? "",
    days: retention.days,
    noncurrentDays: (args.noncurrentRetention ?? Retention.days(14)).days,
    abortDays: 2,
    ...(tiers && { tiers: { weekly: tiers.weekly.days, monthly: tiers.monthly.days } }),
    ...(transitions && { transitions }),
  });
}
