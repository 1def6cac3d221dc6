import { Problem } from "../problem.ts";
import { readSchedule, type ScheduleRule } from "./cron.ts";
import { rhythmOf } from "./rhythm.ts";

/** Day of the week in cron's own short English. */
export type Weekday = "sun" | "mon" | "tue" | "wed" | "thu" | "fri" | "sat";

const WEEKDAYS: readonly Weekday[] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const HOUR_MS = 3_600_000;

/**
 * When backups run, in UTC. Made by a factory, so that a text which never runs does not typecheck.
 * @example Schedule.daily("03:15")
 */
export class Schedule {
  readonly #text: string;
  readonly #rule: ScheduleRule;

  private constructor(text: string, rule: ScheduleRule) {
    this.#text = text;
    this.#rule = rule;
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
    if ("fault" in rule) throw unreadable("schedule", text, rule.fault);
    return new Schedule(text.trim().replace(/\s+/g, " "), rule);
  }

  /** Longest time between two runs that follow each other, hours. Seconds within a minute are not looked at. */
  longestGapHours(): number {
    return rhythmOf(this.#rule).gapMs / HOUR_MS;
  }

  /** Runs in a day, on average over years. */
  runsPerDay(): number {
    return rhythmOf(this.#rule).perDay;
  }

  /** The expression as the container gets it. */
  toString(): string {
    return this.#text;
  }
}

/**
 * Reads a schedule that was given as another setting than `schedule`.
 * @param setting its name, as whoever gave it writes it
 * @throws Problem that names the setting, when the text cannot be read or never runs
 */
export function parseScheduleOf(setting: string, text: string): Schedule {
  const rule = readSchedule(text);
  if ("fault" in rule) throw unreadable(setting, text, rule.fault);
  return Schedule.parse(text);
}

function unreadable(setting: string, text: string, fault: string): Problem {
  return new Problem(
    `${setting} "${text}" cannot be read: ${fault}. Give for instance "15 3 * * *", "@daily" or "@every 6h".`,
  );
}

function readTime(call: string, time: string): [hour: number, minute: number] {
  const match = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(time);
  if (!match) throw new Problem(`${call}: give a time of day from 00:00 to 23:59 (UTC).`);
  return [Number(match[1]), Number(match[2])];
}
