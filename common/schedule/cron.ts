import { Cron } from "croner";
import { messageOf } from "../problem.ts";

// The language of SCHEDULE is that of the old image's go-cron 0.0.5 (https://github.com/ivoronin/go-cron): the parser of
// https://pkg.go.dev/github.com/robfig/cron/v3 with an optional field for seconds. The dates are computed by croner
// (https://croner.56k.guru), whose patterns take the same five or six fields.

/** robfig/cron calls them predefined schedules. */
const PREDEFINED: Readonly<Record<string, string>> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};

/** Milliseconds of each unit of a Go duration (https://pkg.go.dev/time#ParseDuration) that makes sense for a backup. */
const UNITS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000 };
/** Go's durations end at 292 years. */
const LONGEST_MS = 100 * 365 * 24 * 3_600_000;

/** A schedule must be due between these: fixed, so that the answer is the same on every day, and with leap days between them. */
const FROM = new Date("2027-01-01T00:00:00Z");
const UNTIL = new Date("2036-01-01T00:00:00Z");

/** When a schedule is due: at a fixed distance, or by the calendar of a time zone. */
export type ScheduleRule =
  | { readonly everyMs: number }
  | {
      /** Five fields, or six with the second in front. */
      readonly pattern: string;
      /** IANA name. */
      readonly timezone: string;
    };

/**
 * Reads what `SCHEDULE` may hold, for the component that declares it and the container that runs by it.
 * @param text five cron fields, six with the second in front, `@daily` and the like, `@every 1h30m`, each with an optional
 * `TZ=Area/City ` or `CRON_TZ=Area/City ` in front
 * @param timezone IANA name, where the text has none @default "UTC"
 * @returns the rule, or what is wrong with the text, as the end of a sentence
 */
export function readSchedule(
  text: string,
  timezone = "UTC",
): ScheduleRule | { readonly fault: string } {
  const prefixed = /^(?:CRON_)?TZ=(\S+)\s+(.*)$/s.exec(text.trim());
  const zone = prefixed?.[1] ?? timezone;
  const rule = (prefixed?.[2] ?? text).trim();
  if (!isTimezone(zone)) return { fault: `there is no time zone "${zone}"` };
  const every = /^@every\s+(.*)$/.exec(rule)?.[1];
  if (every !== undefined) return readDuration(every);
  const pattern = rule.startsWith("@") ? PREDEFINED[rule.toLowerCase()] : rule;
  if (pattern === undefined) {
    return { fault: `${rule} is not known; the words are ${Object.keys(PREDEFINED).join(", ")}` };
  }
  const fields = pattern.split(/\s+/);
  if (fields.length !== 5 && fields.length !== 6) {
    const count = rule === "" ? 0 : fields.length;
    return { fault: `it has ${count} ${count === 1 ? "field" : "fields"} instead of 5 or 6` };
  }
  try {
    const read = { pattern: fields.join(" "), timezone: zone };
    const first = cronOf(read).nextRun(FROM);
    return first === null || first > UNTIL ? { fault: "no day ever matches it" } : read;
  } catch (error) {
    const message = messageOf(error);
    return { fault: message.replace(/^CronPattern: /, "").replace(/\.$/, "") };
  }
}

/** The moments of a rule that `readSchedule` has read. */
export function cronOf({ pattern, timezone }: { pattern: string; timezone: string }): Cron {
  // For a zone croner asks Intl at every step, which takes four times as long as an offset; UTC has one offset for ever.
  const clock = timezone === "UTC" ? { utcOffset: 0 } : { timezone };
  // `sloppyRanges`: 5/15 means from 5 to the end in steps of 15, as in robfig/cron; croner alone wants 5-59/15.
  return new Cron(pattern, { ...clock, mode: "5-or-6-parts", sloppyRanges: true });
}

/** A Go duration such as `1h30m`, `90m`, `1.5h`; at least one second and in whole seconds, as robfig/cron's `@every`. */
function readDuration(text: string): { everyMs: number } | { fault: string } {
  if (!/^(?:\d+(?:\.\d+)?[hms])+$/.test(text)) {
    return { fault: `"${text}" is not a duration such as 6h, 90m or 1h30m` };
  }
  let sum = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)([hms])/g)) {
    sum += Number(amount) * (UNITS[unit ?? ""] ?? 0);
  }
  if (sum < 1000) return { fault: "the interval is shorter than one second" };
  if (sum > LONGEST_MS) return { fault: "the interval is longer than 100 years" };
  return { everyMs: Math.floor(sum / 1000) * 1000 };
}

function isTimezone(name: string): boolean {
  // Intl makes much of each question, and this is nearly always the one.
  if (name === "UTC") return true;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
