import { cronOf, readSchedule } from "../contracts/agentEnvironment/environment.ts";
import { Problem } from "../problem.ts";

/** Day of the week in cron's own short English. */
export type Weekday = "sun" | "mon" | "tue" | "wed" | "thu" | "fri" | "sat";

const WEEKDAYS: readonly Weekday[] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** A fixed start keeps the answer the same on every day. Both bounds hold a leap day, the horizon holds two. */
const HORIZON_START = Date.UTC(2027, 0, 1);
const HORIZON_END = Date.UTC(2036, 0, 1);
const DAYS_LOOKED_AT = 800;

interface Rhythm {
  /** Longest time between two runs. */
  readonly gapMs: number;
  /** Runs in a day, on average. */
  readonly perDay: number;
}

/**
 * When backups run, in UTC. Made by a factory, so that a text which never runs does not typecheck.
 * @example Schedule.daily("03:15")
 */
export class Schedule {
  readonly #text: string;
  readonly #rhythm: () => Rhythm;

  private constructor(text: string, rhythm: () => Rhythm) {
    this.#text = text;
    this.#rhythm = () => remember(text, rhythm);
  }

  /**
   * Once a day.
   * @param time UTC, `HH:MM`
   * @throws Problem when the time does not exist
   */
  static daily(time = "03:15"): Schedule {
    const [hour, minute] = readTime(`Schedule.daily("${time}")`, time);
    return Schedule.cron(`${minute} ${hour} * * *`);
  }

  /**
   * Once an hour.
   * @param minute of the hour, 0 to 59
   * @throws Problem when the minute does not exist
   */
  static hourly(minute = 0): Schedule {
    if (!Number.isInteger(minute) || minute < 0 || minute > 59) {
      throw new Problem(`Schedule.hourly(${minute}): give a whole minute from 0 to 59.`);
    }
    return Schedule.cron(`${minute} * * * *`);
  }

  /**
   * Once a week.
   * @param time UTC, `HH:MM`
   * @throws Problem when day or time do not exist
   */
  static weekly(day: Weekday, time = "03:15"): Schedule {
    const call = `Schedule.weekly("${day}", "${time}")`;
    const index = WEEKDAYS.indexOf(day);
    if (index < 0) throw new Problem(`${call}: give a day out of ${WEEKDAYS.join(", ")}.`);
    const [hour, minute] = readTime(call, time);
    return Schedule.cron(`${minute} ${hour} * * ${index}`);
  }

  /**
   * At a fixed distance, counted from the start of the container.
   * @param duration hours, minutes and seconds: `6h`, `90m`, `1h30m`; at least a second
   * @throws Problem when the duration cannot be read
   */
  static every(duration: string): Schedule {
    return Schedule.parse(`@every ${duration}`);
  }

  /**
   * Cron's own notation: five fields, or six with the second in front.
   * @throws Problem when it cannot be read or never runs
   */
  static cron(expression: string): Schedule {
    return Schedule.parse(expression);
  }

  /**
   * Reads what a container's SCHEDULE may hold: cron, `@daily` and its like, `@every 6h`, each with `TZ=Area/City` in
   * front for another time zone than UTC.
   * @throws Problem when it cannot be read or never runs
   */
  static parse(text: string): Schedule {
    const rule = readSchedule(text);
    if ("fault" in rule) {
      throw new Problem(
        `schedule "${text}" cannot be read: ${rule.fault}. Give for instance "15 3 * * *", "@daily" or "@every 6h".`,
      );
    }
    const rhythm = () =>
      "everyMs" in rule
        ? { gapMs: rule.everyMs, perDay: DAY_MS / rule.everyMs }
        : rhythmOf(rule.pattern, rule.timezone);
    return new Schedule(text.trim().replace(/\s+/g, " "), rhythm);
  }

  /** Longest time between two runs that follow each other, hours. Seconds within a minute are not looked at. */
  longestGapHours(): number {
    return this.#rhythm().gapMs / HOUR_MS;
  }

  /** Runs in a day, on average over years. */
  runsPerDay(): number {
    return this.#rhythm().perDay;
  }

  /** The expression as the container gets it. */
  toString(): string {
    return this.#text;
  }
}

/** Rhythms of the texts that were asked about: years are walked for each, and a program asks about few. */
const rhythms = new Map<string, Rhythm>();

function remember(text: string, work: () => Rhythm): Rhythm {
  const rhythm = rhythms.get(text) ?? work();
  rhythms.set(text, rhythm);
  return rhythm;
}

function readTime(call: string, time: string): [hour: number, minute: number] {
  const match = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(time);
  if (!match) throw new Problem(`${call}: give a time of day from 00:00 to 23:59 (UTC).`);
  return [Number(match[1]), Number(match[2])];
}

/**
 * By the clock of its zone every day that matches has the same times of day, so one day is walked minute by minute and the
 * years after it day by day. Where the clock is put back once a year, the night of it makes the gap longer.
 */
function rhythmOf(pattern: string, timezone: string): Rhythm {
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
