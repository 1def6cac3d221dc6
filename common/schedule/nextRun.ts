import { Problem } from "../problem.ts";
import { cronOf, readSchedule, type ScheduleRule } from "./cron.ts";

/**
 * The first moment after `from` at which a backup is due.
 * @param expression what `readSchedule` takes
 * @param from `@every` counts from here
 * @param timezone IANA name @default UTC
 * @param variable that holds the expression, for the error @default SCHEDULE
 * @throws Problem when the expression cannot be read or is never due
 */
export function nextRun(expression: string, from: Date, timezone = "UTC", variable?: string): Date {
  const rule = requireRule(expression, timezone, variable);
  if ("everyMs" in rule) return new Date(from.getTime() + rule.everyMs);
  // A rule that has been read is due some day.
  return cronOf(rule).nextRun(from) as Date;
}

/**
 * When the scheduler must act next: the run after the last one, or, when that has already passed because a backup took
 * longer than the interval, the next one from now. Runs that were missed are not made up for.
 * @param last when the last run was due; absent at the start of the container
 */
export function dueAfter(expression: string, now: Date, last?: Date, timezone?: string): Date {
  const due = nextRun(expression, last ?? now, timezone);
  return due > now ? due : nextRun(expression, now, timezone);
}

/**
 * The last moment up to `now` at which a backup was due, whether anything ran then or not. With `@every`, which counts
 * from the start of a container that may be gone: one interval ago.
 * @throws Problem when the expression cannot be read
 */
export function lastDue(expression: string, now: Date, timezone = "UTC"): Date | undefined {
  const rule = requireRule(expression, timezone);
  if ("everyMs" in rule) return new Date(now.getTime() - rule.everyMs);
  // The reference itself is left out, a run earlier in its second is not.
  return cronOf(rule).previousRuns(1, new Date(now.getTime() + 1))[0];
}

/**
 * When to begin a run: its due time and a random delay, chosen anew each time.
 * @param jitterSeconds longest delay
 * @param random from 0 up to, not including, 1
 */
export function withJitter(due: Date, jitterSeconds: number, random: () => number = Math.random) {
  return new Date(due.getTime() + Math.floor(random() * (jitterSeconds + 1)) * 1000);
}

/** @throws Problem when the expression is none */
function requireRule(expression: string, timezone: string, variable = "SCHEDULE"): ScheduleRule {
  const rule = readSchedule(expression, timezone);
  if ("fault" in rule) {
    throw new Problem(
      `${variable} "${expression}" cannot be read: ${rule.fault}. Use five cron fields ("15 3 * * *"), six with seconds first, @hourly, @daily, @weekly, @monthly, @yearly, or @every 6h.`,
    );
  }
  return rule;
}
