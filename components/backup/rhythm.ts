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
