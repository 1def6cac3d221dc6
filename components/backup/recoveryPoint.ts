import type { Rhythm } from "../bucket/retentionCheck.ts";

/** Hours after which the newest backup is too old. Two of grace: a run takes a while, and one that failed leaves it to the next. */
export function rpoHours(rhythm: Rhythm, jitterSeconds = 0): number {
  return rhythm.longestGapHours() + Math.ceil(jitterSeconds / 3600) + 2;
}
