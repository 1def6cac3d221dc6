import { Problem } from "../../../common/problem.ts";

const FORM =
  /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(\.\d{1,6})?)?(?: ?(Z|UTC|[+-]\d\d(?::?\d\d)?))?$/i;

/**
 * The moment that was typed. The fraction of a second stays as it is: PostgreSQL counts microseconds, and JavaScript does not.
 * @param text date and time, UTC unless a zone is given; or `latest`
 * @returns ISO 8601 in UTC. @example "2026-11-28T10:15:00.000Z"
 * @throws Problem when it is none
 */
export function parseMoment(text: string): string {
  const typed = text.trim();
  if (typed === "latest") return typed;
  const found = FORM.exec(typed);
  const [, year, month, day, hour, minute, second = "00", fraction = ".000", zone = "Z"] =
    found ?? [];
  const local = `${year}-${month}-${day}T${hour}:${minute}:${second}`;
  const at = new Date(`${local}Z`);
  // 30 February is 2 March to Date, and 24:00 the next day.
  if (found === null || Number.isNaN(at.getTime()) || at.toISOString().slice(0, 19) !== local) {
    throw new Problem(
      `--to ${text} is no time. Give date and time, e.g. "2026-11-28 10:15:00" in UTC, or with a zone: "2026-11-28 11:15:00+01:00"; or latest.`,
    );
  }
  const utc = new Date(at.getTime() - offsetOf(zone));
  return `${utc.toISOString().slice(0, 19)}${fraction.padEnd(4, "0")}Z`;
}

/** Milliseconds that the zone is ahead of UTC. */
function offsetOf(zone: string): number {
  const found = /^([+-])(\d\d):?(\d\d)?$/.exec(zone);
  if (found === null) return 0;
  const [, sign, hours, minutes = "0"] = found;
  return (sign === "-" ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
}
