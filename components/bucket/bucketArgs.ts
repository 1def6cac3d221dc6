import { Problem } from "../../common/problem.ts";
import {
  backupLifecycle,
  type LifecycleRule,
  type Transition,
} from "../../storage/bucket/lifecycle.ts";
import { checkLock, type ObjectLock } from "../../storage/bucket/objectLock.ts";
import { pointInTimeDays } from "../../storage/planning/pointInTimePlan.ts";
import { Retention } from "../../storage/planning/retention.ts";
import type { PointInTimeArgs } from "../pointInTime/pointInTimeArgs.ts";
import { windowOf } from "../pointInTime/pointInTimeRetention.ts";
import { resolvePointInTime } from "../pointInTime/resolvePointInTime.ts";
import { asArgument, type SettingName } from "../pulumi/settingNames.ts";
import type { BucketKeeping } from "./retentionCheck.ts";

/** What a bucket of backups is asked for, wherever it is. */
export interface BackupBucketArgs {
  /**
   * How long a backup is kept; the bucket itself expires it, so no key on the database host needs the right to delete.
   * Tiers are folders below `prefix`, which must be given for them.
   * @example Retention.days(30)
   * @example Retention.tiers({ daily: 7, weekly: 35, monthly: 365 })
   */
  readonly retention: Retention;
  /**
   * How long an overwritten or deleted object can still be brought back.
   * @default 14 days
   */
  readonly noncurrentRetention?: Retention;
  /**
   * Folder that expiry is for, without slash at either end. Must be given for a bucket that exists, where a rule for the
   * whole of it would remove whatever else is in there; and with `Retention.tiers`, as that of `PostgresBackup`.
   * @default the whole bucket
   * @example "shop/production"
   */
  readonly prefix?: string;
  /**
   * Forbids deleting a backup for a number of days, with S3 Object Lock. A bucket cannot be rid of it again: taking the
   * argument away leaves the lock as it was.
   * @default none
   * @example { mode: "governance", days: 14 }
   * @example { mode: "compliance", days: 14, acceptCompliance: true }
   */
  readonly lock?: ObjectLock;
  /**
   * The `pointInTime` of `PostgresBackup`, for rules by which its base backups, WAL and small objects go as soon as no recovery
   * needs them. Its `prefix` is the folder of that backup, where the bucket itself has none.
   * @default no rules of their own: they go with the backups
   * @example { keep: "14d", prefix: "shop/production" }
   */
  readonly pointInTime?: BucketPointInTime;
  /**
   * Deletes the bucket with every backup in it on `pulumi destroy`. Without it `destroy` leaves bucket and backups alone.
   * @default false
   */
  readonly forceDestroy?: boolean;
  /** Allows plain http to an `endpoint` that is not loopback. @default false */
  readonly allowInsecure?: boolean;
}

/** What a bucket must know of point-in-time recovery. */
export type BucketPointInTime = Pick<PointInTimeArgs, "keep" | "base"> & {
  /**
   * Folder of the backup, without slash at either end.
   * @default the bucket's `prefix`
   * @example "shop/production"
   */
  readonly prefix?: string;
};

type RulesArgs = BackupBucketArgs & { readonly transitions?: readonly Transition[] };

/** How the rules of a bucket are resolved. */
export interface RulesOptions {
  /** Argument that says that the bucket is there already. @default a new one */
  readonly takenBy?: string | undefined;
  /** How the messages name the arguments. @default as they are */
  readonly name?: SettingName;
}

/**
 * Checks what a bucket is asked for, and makes its rules.
 * @throws Problem that names the argument
 */
export function resolveRules(
  args: RulesArgs,
  { takenBy, name = asArgument }: RulesOptions = {},
): LifecycleRule[] {
  const { prefix = "", transitions, lock } = args;
  const { days, tiers, noncurrentDays } = daysOf(args);
  const setting = name("prefix");
  if (prefix === "" && (tiers || takenBy !== undefined)) {
    const why = tiers
      ? "the tiers are folders below it"
      : `${name(takenBy ?? "")} takes a bucket that exists, where a rule without a folder would expire whatever else is in it`;
    throw new Problem(
      `${setting}: give the folder of the backups, for instance "shop/production": ${why}.`,
    );
  }
  if (prefix.startsWith("/") || prefix.endsWith("/")) {
    throw new Problem(
      `${setting}: "${prefix}" must be a folder without slash at either end, for instance "shop/production".`,
    );
  }
  const pointInTime = args.pointInTime && pointInTimeRules(args.pointInTime, prefix, name);
  if (lock) checkLock(lock, days);
  return backupLifecycle({
    prefix,
    days,
    noncurrentDays,
    abortDays: 2,
    ...(tiers && { tiers }),
    ...(transitions && { transitions }),
    ...(pointInTime && { pointInTime }),
  });
}

function pointInTimeRules(
  pointInTime: BucketPointInTime,
  bucketPrefix: string,
  name: SettingName,
): { readonly prefix: string; readonly days: number } {
  const prefix = pointInTime.prefix ?? bucketPrefix;
  const setting = name("pointInTime.prefix");
  if (prefix === "" || prefix.startsWith("/") || prefix.endsWith("/")) {
    throw new Problem(
      `${setting}: "${prefix}" must be the folder of the backup, without slash at either end, for instance "shop/production": the rules are for folders below it.`,
    );
  }
  if (bucketPrefix !== "" && prefix !== bucketPrefix && !prefix.startsWith(`${bucketPrefix}/`)) {
    throw new Problem(
      `${setting}: "${prefix}" lies outside of ${name("prefix")} "${bucketPrefix}", for which the bucket's rules are. Give both the same folder.`,
    );
  }
  return { prefix, days: pointInTimeDays(windowOf(resolvePointInTime(pointInTime, name))) };
}

/**
 * What those rules come to, for the proof before anything is made.
 * @param versions whether the bucket keeps what was overwritten or deleted
 */
export function keepingOf(args: RulesArgs, provider: string, versions = true): BucketKeeping {
  const { lock, transitions } = args;
  const { pointInTime } = args;
  const { noncurrentDays, ...days } = daysOf(args);
  return {
    ...days,
    ...(pointInTime && {
      pointInTimeDays: pointInTimeDays(windowOf(resolvePointInTime(pointInTime, asArgument))),
    }),
    noncurrentDays: versions ? noncurrentDays : 0,
    ...(lock && { lockDays: lock.days, lockMode: lock.mode }),
    ...(transitions && { transitions }),
    provider,
  };
}

function daysOf({ retention, noncurrentRetention = Retention.days(14) }: BackupBucketArgs) {
  const { tierDays } = retention;
  return {
    days: tierDays?.daily ?? retention.days,
    ...(tierDays && { tiers: { weekly: tierDays.weekly, monthly: tierDays.monthly } }),
    noncurrentDays: noncurrentRetention.days,
  };
}
