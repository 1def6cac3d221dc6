import type { Schedule } from "../../common/schedule/schedule.ts";
import type { Rhythm } from "../bucket/retentionCheck.ts";

const DAY_HOURS = 24;

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
