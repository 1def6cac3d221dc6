import { OPEN_DAYS } from "../../storage/bucket/lifecycle.ts";
import { openStem, pointInTimeStem } from "../../storage/catalogue/pointInTimeKeys.ts";
import {
  describePointInTime,
  pointInTimeDays,
  provePointInTime,
  type WindowPlan,
} from "../../storage/planning/pointInTimePlan.ts";
import type { ResourceLog } from "../pulumi/resourceMessages.ts";
import type { SettingName } from "../pulumi/settingNames.ts";
import type { ResolvedPointInTime } from "./resolvePointInTime.ts";

/** What a bucket does with what point-in-time recovery stores in it. */
export interface PointInTimeKeeping {
  /** Days until the rules for the backups' folder expire what lies in it and in no tier. */
  readonly days: number;
  /** The bucket has rules of its own for base backups and WAL, which this package writes. Days until those expire. */
  readonly ownDays?: number;
  /** Nobody here writes the rules. */
  readonly isOwners: boolean;
}

export interface PointInTimeCheck {
  readonly declared: ResolvedPointInTime;
  /** Undefined: not known, or nothing expires there. */
  readonly keeping: PointInTimeKeeping | undefined;
  /** Folder of the backups. */
  readonly prefix: string;
  readonly backupBytes: number | undefined;
  readonly name: SettingName;
  /** What the bucket's retention is called. */
  readonly retentionName: string;
}

/** What decides how long base backups and WAL must live. */
export function windowOf({ keepDays, base }: ResolvedPointInTime): WindowPlan {
  return { keepDays, baseGapHours: base.longestGapHours() };
}

/**
 * Proves, before anything is made, that the bucket keeps what a recovery needs, and says at preview what that comes to.
 * @throws Problem when the window and the bucket's rules contradict each other
 */
export function checkPointInTimeRetention(check: PointInTimeCheck, log: ResourceLog): void {
  const { declared, keeping, prefix, backupBytes, name, retentionName } = check;
  const plan = windowOf(declared);
  const needed = pointInTimeDays(plan);
  const names = { keep: name("pointInTime.keep"), base: name("pointInTime.base") };
  if (keeping !== undefined) {
    const baseSchedule = declared.base.toString();
    const prove = (bucketDays: number, retention: string) =>
      provePointInTime(plan, { bucketDays, baseSchedule, names: { ...names, retention } });
    prove(keeping.days, retentionName);
    if (keeping.ownDays !== undefined) prove(keeping.ownDays, name("bucket.pointInTime"));
  }
  if (!log.preview) return;
  const keptDays = keeping?.ownDays ?? keeping?.days ?? needed;
  log.info(
    describePointInTime(plan, {
      basesPerDay: declared.base.runsPerDay(),
      rpoSeconds: declared.rpoSeconds,
      keptDays,
      openDays: keeping === undefined || keeping.ownDays !== undefined ? OPEN_DAYS : keeping.days,
      backupBytes,
      names: { keep: names.keep, backupBytes: name("backupBytes") },
    }),
  );
  if (keeping?.ownDays !== undefined) return;
  const [whole, open] = [pointInTimeStem(prefix), openStem(prefix)];
  if (keeping === undefined) {
    log.warn(
      `${names.keep}: nothing here removes what lies under ${whole} and ${open}. Give the bucket rules that expire them after ${needed} and ${OPEN_DAYS} days, and none that does it sooner.`,
    );
  } else if (keeping.isOwners) {
    log.info(
      `${names.keep}: the bucket's own rules must not expire ${whole} before ${needed} days, and may expire ${open} after ${OPEN_DAYS}; nothing here sets or checks them.`,
    );
  } else {
    log.info(
      `${names.keep}: ${whole} and ${open} expire after ${keeping.days} days with the backups. ${name("bucket.pointInTime")} gives them rules of their own, which remove them after ${needed} and ${OPEN_DAYS}.`,
    );
  }
}
