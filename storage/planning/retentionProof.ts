import { Problem } from "../../common/problem.ts";
import { minimumDays } from "./prices.ts";
import {
  daysOf,
  forecast,
  type RetentionForecast,
  type RetentionPlan,
  type RetentionRule,
} from "./retentionForecast.ts";

/** What the reader of a message called the settings. */
export interface RetentionNames {
  readonly schedule: string;
  readonly retention: string;
  /** @default "backupBytes" */
  readonly backupBytes?: string;
  /** @default "usdPerGbMonth" */
  readonly usdPerGbMonth?: string;
}

export const RETENTION_NAMES: RetentionNames = { schedule: "schedule", retention: "retention" };

const HOURS = 24;

/**
 * Proves that a plan keeps what it promises, before anything is made.
 * @param names what the reader called the settings @default `schedule` and `retention`
 * @throws Problem when two settings contradict each other: what was given, what would follow, what to do instead
 */
export function proveRetention(
  plan: RetentionPlan,
  names: RetentionNames = RETENTION_NAMES,
): RetentionForecast {
  checkAmount(names.backupBytes ?? "backupBytes", plan.backupBytes);
  checkAmount(names.usdPerGbMonth ?? "usdPerGbMonth", plan.usdPerGbMonth);
  for (const rule of plan.rules) proveRule(plan, rule, names);
  const { lockDays } = plan;
  const shortest = Math.min(...plan.rules.map(({ days }) => days));
  if (lockDays !== undefined && lockDays > shortest) {
    throw contradiction(
      `lock and ${names.retention} contradict each other`,
      `lock ${daysOf(lockDays)}, ${names.retention} ${daysOf(shortest)}`,
      `the lock keeps, and bills, every backup until day ${lockDays}, although the list shows none that is older than ${daysOf(shortest)}`,
      `lock for at most ${daysOf(shortest)}, or keep at least ${daysOf(lockDays)}`,
    );
  }
  proveTransitions(plan, names);
  return forecast(plan);
}

/**
 * The rules of a bucket whose backups all expire alike, or of one with tiers: the first backup of a month is a monthly
 * one, else the first of a week a weekly one. Every backup lives at least as long as a daily one, so the daily rule alone
 * carries the promise that a failed run leaves no hole; the others must only never be empty.
 */
export function rulesOf(
  schedule: { readonly longestGapHours: number; readonly perDay: number },
  days: number,
  tiers?: { readonly weekly: number; readonly monthly: number },
): RetentionRule[] {
  const { longestGapHours, perDay } = schedule;
  if (tiers === undefined) return [{ name: "backup", longestGapHours, perDay, days, gaps: 2 }];
  const monthly = Math.min(perDay, 12 / 365.25);
  const weekly = Math.min(perDay - monthly, 1 / 7);
  return [
    { name: "daily backup", longestGapHours, perDay: perDay - weekly - monthly, days, gaps: 2 },
    {
      name: "weekly backup",
      // The first backup of a week may be that of a month, and then it is missing among the weekly ones.
      longestGapHours: 14 * HOURS + longestGapHours,
      perDay: weekly,
      days: tiers.weekly,
      gaps: 1,
    },
    {
      name: "monthly backup",
      longestGapHours: 31 * HOURS + longestGapHours,
      perDay: monthly,
      days: tiers.monthly,
      gaps: 1,
    },
  ];
}

function proveRule({ schedule }: RetentionPlan, rule: RetentionRule, names: RetentionNames): void {
  const { days, longestGapHours: gap, name, gaps } = rule;
  const needed = gaps * gap;
  if (days * HOURS >= needed) return;
  const last = (hours: number) => Math.ceil(hours / HOURS);
  const then =
    days * HOURS < gap
      ? `${span(days + 1, last(gap))} after each ${name} no ${name} exists`
      : `when one ${name} fails, none exists ${span(days + 1, last(needed))} after the one before it`;
  const remedy = `keep at least ${daysOf(last(needed))}`;
  throw contradiction(
    `${names.schedule} and ${names.retention} contradict each other`,
    `${names.schedule} "${schedule}" (up to ${durationOf(gap)} from one ${name} to the next), ${names.retention} ${daysOf(days)}`,
    then,
    gaps === 2
      ? `${remedy}, or back up at least every ${durationOf((days * HOURS) / gaps)}`
      : `${remedy}, or take the tiers out`,
  );
}

function proveTransitions(
  { provider, rules, noncurrentDays, transitions = [] }: RetentionPlan,
  names: RetentionNames,
): void {
  const longest = Math.max(...rules.map(({ days }) => days));
  for (const { days: after, storageClass } of transitions) {
    if (after >= longest) {
      throw contradiction(
        `transition and ${names.retention} contradict each other`,
        `a move to ${storageClass} after ${daysOf(after)}, ${names.retention} ${daysOf(longest)}`,
        "every backup has expired before it would be moved",
        `move after fewer than ${daysOf(longest)}, keep longer, or take the transition out`,
      );
    }
    const least = minimumDays(provider, storageClass);
    for (const { name, days } of rules) {
      const stays = days + noncurrentDays - after;
      // A rule moves only what lives long enough to be moved.
      if (after >= days || stays >= least) continue;
      throw contradiction(
        "transition and minimum storage period contradict each other",
        `a move to ${storageClass} after ${daysOf(after)}, ${names.retention} ${daysOf(days)} and ${noncurrentDays} more for what expired`,
        `each ${name} stays there for ${daysOf(stays)} and is billed for ${daysOf(least)} at ${provider}`,
        `keep at least ${daysOf(after + least - noncurrentDays)}, or take the transition out`,
      );
    }
  }
}

function checkAmount(argument: string, amount: number | undefined): void {
  if (amount === undefined || (Number.isFinite(amount) && amount > 0)) return;
  throw new Problem(`${argument} is ${amount}; give a number above 0, or leave it out.`);
}

/** A refusal in four lines: what contradicts what, what was given, what would follow, what to do instead. */
export function contradiction(what: string, given: string, then: string, remedy: string): Problem {
  return new Problem(`${what}\n  given   ${given}\n  then    ${then}\n  do      ${remedy}`);
}

function span(from: number, to: number): string {
  return from === to ? `on day ${from}` : `from day ${from} to day ${to}`;
}

/** Whole days where they are, else hours. Rounded down: a shorter distance is the safe one. */
export function durationOf(hours: number): string {
  const whole = Math.floor(hours);
  if (whole >= 2 * HOURS) return daysOf(Math.floor(whole / HOURS));
  return whole === 1 ? "1 hour" : `${whole} hours`;
}
