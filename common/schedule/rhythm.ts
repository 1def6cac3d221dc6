import { cronOf, type ScheduleRule } from "./cron.ts";

const DAY_MS = 24 * 3_600_000;
/** A fixed start keeps the answer the same on every day. Both bounds hold a leap day, the horizon holds two. */
const HORIZON_START = Date.UTC(2027, 0, 1);
const HORIZON_END = Date.UTC(2036, 0, 1);
const DAYS_LOOKED_AT = 800;

/** How often a schedule is due. */
export interface Rhythm {
  /** Longest time between two runs that follow each other, milliseconds. Seconds within a minute are not looked at. */
  readonly gapMs: number;
  /** Runs in a day, on average over years. */
  readonly perDay: number;
}

/** Years are walked for each rule, and a program asks about few of them, but often. */
const known = new Map<string, Rhythm>();

/** Works out how often a rule is due. */
export function rhythmOf(rule: ScheduleRule): Rhythm {
  if ("everyMs" in rule) return { gapMs: rule.everyMs, perDay: DAY_MS / rule.everyMs };
  const key = `${rule.timezone} ${rule.pattern}`;
  const rhythm = known.get(key) ?? cronRhythm(rule.pattern, rule.timezone);
  known.set(key, rhythm);
  return rhythm;
}

/**
 * By the clock of its zone every day that matches has the same times of day, so one day is walked minute by minute and the
 * years after it day by day. Where the clock is put back once a year, the night of it makes the gap longer.
 */
function cronRhythm(pattern: string, timezone: string): Rhythm {
  // Without the second: the gap is wanted in hours.
  const minutely = cronOf({ pattern: pattern.split(" ").slice(-5).join(" "), timezone: "UTC" });
  const first = minutely.nextRun(new Date(HORIZON_START - 1)) as Date;
  const dayStart = Math.floor(first.getTime() / DAY_MS) * DAY_MS;
  let last = first.getTime();
  let longest = 0;
  let inDay = 1;
  for (let next = minutely.nextRun(first); next !== null; next = minutely.nextRun(next)) {
    if (next.getTime() >= dayStart + DAY_MS) break;
    longest = Math.max(longest, next.getTime() - last);
    last = next.getTime();
    inDay += 1;
  }
  const lastInDay = last - dayStart;
  let day = dayStart;
  let days = 0;
  for (let count = 0; count < DAYS_LOOKED_AT && day < HORIZON_END; count++) {
    const next = minutely.nextRun(new Date(day + DAY_MS - 1));
    if (next === null) break;
    longest = Math.max(longest, next.getTime() - (day + lastInDay));
    day = Math.floor(next.getTime() / DAY_MS) * DAY_MS;
    days += 1;
  }
  return {
    gapMs: longest + clockChange(timezone),
    perDay: (inDay * days * DAY_MS) / (day - dayStart),
  };
}

/** How far the zone's clock is apart in January and in July, milliseconds. */
function clockChange(timezone: string): number {
  const noon = cronOf({ pattern: "0 12 * * *", timezone });
  const [january = 0, july = 0] = [0, 6].map(
    (month) => (noon.nextRun(new Date(Date.UTC(2027, month, 15))) as Date).getTime() % DAY_MS,
  );
  return Math.abs(january - july);
}
