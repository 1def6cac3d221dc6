import { Cron } from "croner";
import { Problem } from "../storage/problem.ts";

const DESCRIPTORS: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

/** Milliseconds of each unit of a Go duration that makes sense for a backup. */
const UNITS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000 };

/**
 * The first moment after `from` at which a backup is due.
 * @param expression what go-cron takes: five fields, six with seconds first, `@daily` and its kin, `@every 1h30m`,
 * each with an optional `TZ=Area/City ` or `CRON_TZ=Area/City ` in front
 * @param from `@every` counts from here
 * @param timezone IANA name @default UTC
 * @param variable that holds the expression, for the error @default SCHEDULE
 * @throws Problem when the expression cannot be read or is never due
 */
export function nextRun(expression: string, from: Date, timezone = "UTC", variable?: string): Date {
  const rule = read(expression, timezone, variable);
  if ("everyMs" in rule) return new Date(from.getTime() + rule.everyMs);
  const next = rule.cron.nextRun(from);
  if (next === null) throw unreadable(expression, "it is never due", variable);
  return next;
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
  const rule = read(expression, timezone);
  if ("everyMs" in rule) return new Date(now.getTime() - rule.everyMs);
  // The reference itself is left out, a run earlier in its second is not.
  return rule.cron.previousRuns(1, new Date(now.getTime() + 1))[0];
}

/**
 * When to begin a run: its due time and a random delay, chosen anew each time.
 * @param jitterSeconds longest delay
 * @param random from 0 up to, not including, 1
 */
export function startOf(due: Date, jitterSeconds: number, random: () => number = Math.random) {
  return new Date(due.getTime() + Math.floor(random() * (jitterSeconds + 1)) * 1000);
}

type Rule = { readonly cron: Cron } | { readonly everyMs: number };

function read(expression: string, timezone: string, variable?: string): Rule {
  const prefixed = /^(?:CRON_)?TZ=(\S+)\s+(.*)$/s.exec(expression.trim());
  const zone = prefixed?.[1] ?? timezone;
  const rule = (prefixed?.[2] ?? expression).trim();
  const every = /^@every\s+(.*)$/.exec(rule);
  if (every) return { everyMs: duration(every[1] ?? "", expression, variable) };
  const pattern = rule.startsWith("@") ? DESCRIPTORS[rule.toLowerCase()] : rule;
  if (pattern === undefined) throw unreadable(expression, `${rule} is not known`, variable);
  const fields = pattern.split(/\s+/).length;
  if (fields !== 5 && fields !== 6) {
    throw unreadable(expression, `it has ${fields} ${fields === 1 ? "field" : "fields"}`, variable);
  }
  try {
    // The looser form is Go's: 5/15 means from 5 to the end in steps of 15.
    const cron = new Cron(pattern, {
      timezone: zone,
      mode: "5-or-6-parts",
      sloppyRanges: true,
    });
    // A time zone that does not exist is found out by the first calculation only.
    cron.nextRun();
    return { cron };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw unreadable(
      expression,
      message.replace(/^CronPattern: /, "").replace(/\.$/, ""),
      variable,
    );
  }
}

/** A Go duration such as `1h30m`, `90m`, `1.5h`; at least one second, as in go-cron. */
function duration(text: string, expression: string, variable?: string): number {
  if (!/^(?:\d+(?:\.\d+)?[hms])+$/.test(text)) {
    throw unreadable(expression, `"${text}" is not a duration such as 6h or 1h30m`, variable);
  }
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)([hms])/g)) {
    sum += Number(amount) * (UNITS[unit ?? ""] ?? 0);
  }
  if (sum < 1000) throw unreadable(expression, "the interval is shorter than one second", variable);
  return Math.floor(sum / 1000) * 1000;
}

function unreadable(expression: string, reason: string, variable = "SCHEDULE"): Problem {
  return new Problem(
    `${variable} "${expression}" cannot be read: ${reason}. Use five cron fields ("15 3 * * *"), six with seconds first, @hourly, @daily, @weekly, @monthly, @yearly, or @every 6h.`,
  );
}
