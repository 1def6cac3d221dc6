import { Problem } from "../problem.ts";
import { cronOf, readSchedule, type ScheduleRule } from "./cron.ts";

interface ReadOptions {
  /** IANA name of the zone of an expression that names none. @default UTC */
  readonly timezone?: string | undefined;
  /** That holds the expression, for the error. @default SCHEDULE */
  readonly variable?: string;
}

/**
 * The first moment after `from` at which a backup is due.
 * @param expression what `readSchedule` takes
 * @param from `@every` counts from here
 * @throws Problem when the expression cannot be read or is never due
 */
export function nextRun(expression: string, from: Date, options: ReadOptions = {}): Date {
  const rule = requireRule(expression, options);
  if ("everyMs" in rule) return new Date(from.getTime() + rule.everyMs);
  // A rule that has been read is due some day.
  return cronOf(rule).nextRun(from) as Date;
}

/**
 * When the scheduler must act next: the run after the last one, or, when that has already passed because a backup took
 * longer than the interval, the next one from now. Runs that were missed are not made up for.
 */
export function dueAfter(
  expression: string,
  now: Date,
  {
    last,
    ...options
  }: ReadOptions & {
    /** When the last run was due; absent at the start of the container. */
    readonly last?: Date | undefined;
  } = {},
): Date {
  const due = nextRun(expression, last ?? now, options);
  return due > now ? due : nextRun(expression, now, options);
}

/**
 * The last moment up to `now` at which a backup was due, whether anything ran then or not. With `@every`, which counts
 * from the start of a container that may be gone: one interval ago.
 * @throws Problem when the expression cannot be read
 */
export function lastDue(
  expression: string,
  now: Date,
  options: ReadOptions = {},
): Date | undefined {
  const rule = requireRule(expression, options);
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
function requireRule(
  expression: string,
  { timezone = "UTC", variable = "SCHEDULE" }: ReadOptions,
): ScheduleRule {
  const rule = readSchedule(expression, timezone);
  if ("fault" in rule) {
    throw new Problem(
      `${variable} "${expression}" cannot be read: ${rule.fault}. Use five cron fields ("15 3 * * *"), six with seconds first, @hourly, @daily, @weekly, @monthly, @yearly, or @every 6h.`,
    );
  }
  return rule;
}
