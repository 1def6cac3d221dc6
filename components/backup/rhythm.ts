import { existsSync } from "node:fs";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { Problem } from "../../common/problem.ts";
import { parseDuration } from "../../common/schedule/duration.ts";
import { parseScheduleOf, type Schedule } from "../../common/schedule/schedule.ts";
import type { Rhythm } from "../bucket/retentionCheck.ts";

/** When backups are made. */
export interface ScheduleArgs {
  /**
   * When to back up, in UTC unless a time zone stands in front.
   * @example Schedule.daily("03:15")
   * @example "@every 6h"
   * @example "TZ=Europe/Paris 15 3 * * *"
   */
  readonly schedule: Schedule | string;
  /**
   * Longest random delay of a scheduled run, seconds, so that many hosts do not start at once; at most 86,400.
   * @default 0
   * @example 600
   */
  readonly jitterSeconds?: number;
}

/** What is promised of restores, and how it is proved: `kamal-postgres-backup drill` restores into a throw-away server. */
export interface DrillArgs {
  /**
   * Recovery time objective: a drill whose restore takes longer has failed.
   * @default none: the time is measured, and not judged
   * @example "10m"
   * @example "1h30m"
   */
  readonly rto?: string;
  /**
   * How old the newest drill that has passed may be. `drift` and `status` fail when it is older.
   * @default nobody asks for drills
   * @example "7d"
   */
  readonly every?: string;
  /**
   * File with SQL queries, each of which returns no row when all is well with the restored data. The path is relative to the
   * folder of Pulumi.yaml.
   * @default the comparison with the manifest alone
   * @example "drill.sql"
   */
  readonly checks?: string;
}

const DAY_MS = 86_400_000;

/**
 * Judges what is declared of drills.
 * @param retentionDays days after which the bucket's rule removes backups, and with them the records of drills; undefined: not
 * known here
 * @param name how messages name the arguments
 * @throws Problem that names the argument
 */
export function checkDrill(
  { rto, every, checks }: DrillArgs,
  retentionDays: number | undefined,
  name: (argument: string) => string,
): void {
  for (const [setting, text] of [
    [name("drill.rto"), rto],
    [name("drill.every"), every],
  ] as const) {
    if (text === undefined || parseDuration(text) !== undefined) continue;
    throw new Problem(`${setting} "${text}" is no length of time. Write 90s, 10m, 1h30m or 7d.`);
  }
  const everyMs = every === undefined ? undefined : parseDuration(every);
  if (everyMs !== undefined && everyMs < 3_600_000) {
    throw new Problem(`${name("drill.every")} "${every}" must be an hour or more, such as 7d.`);
  }
  if (everyMs !== undefined && retentionDays !== undefined && everyMs >= retentionDays * DAY_MS) {
    throw new Problem(
      `${name("drill.every")} "${every}" and the retention of ${retentionDays} days contradict each other: the bucket's rule removes the record of a drill like the backups before the next drill is due. Drill more often, or keep longer.`,
    );
  }
  if (checks !== undefined && !existsSync(checks)) {
    throw new Problem(
      `${name("drill.checks")}: there is no file ${checks}. Give its path from the folder of Pulumi.yaml.`,
    );
  }
}

/** What the command line reads of it. */
export function drillOutputs({
  rto = "",
  every = "",
  checks,
}: DrillArgs): NonNullable<BackupOutputs["drill"]> {
  const [rtoMs, everyMs] = [parseDuration(rto), parseDuration(every)];
  return {
    ...(rtoMs !== undefined && { rtoMs }),
    ...(everyMs !== undefined && { everyMs }),
    ...(checks !== undefined && { checks }),
  };
}

const DAY_HOURS = 24;
/** A run takes a while, and one that failed leaves it to the next. */
const GRACE_HOURS = 2;

/**
 * The schedule that was given, read if it is a text.
 * @param setting how the caller calls it
 * @throws Problem that names the setting
 */
export function resolveSchedule(setting: string, given: Schedule | string): Schedule {
  return typeof given === "string" ? parseScheduleOf(setting, given) : given;
}

/**
 * How often copies are made. One is made with the first backup at or after a due time, so that backups at a regular
 * distance carry copies at a multiple of it; irregular ones add up to their longest gap.
 * @param every when copies are due; absent: with each backup
 */
export function copyRhythm(schedule: Schedule, every: Schedule | undefined): Rhythm {
  if (every === undefined) return schedule;
  const gap = schedule.longestGapHours();
  const due = every.longestGapHours();
  const regular = Math.abs(gap * schedule.runsPerDay() - DAY_HOURS) < 1e-6;
  const longest = regular ? Math.ceil(due / gap - 1e-9) * gap : due + gap;
  return {
    longestGapHours: () => Math.max(longest, gap),
    runsPerDay: () => Math.min(every.runsPerDay(), schedule.runsPerDay()),
    toString: () => `${every}, backups ${schedule}`,
  };
}

/** Recovery point objective: hours after which the newest backup is too old. */
export function rpoHours(rhythm: Rhythm, jitterSeconds = 0): number {
  return rhythm.longestGapHours() + Math.ceil(jitterSeconds / 3600) + GRACE_HOURS;
}
