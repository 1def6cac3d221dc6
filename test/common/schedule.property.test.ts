// tag: cloud
import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { Schedule } from "../../common/schedule/schedule.ts";

const DAY_MS = 86_400_000;

interface Fields {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  /** Days of the month, or of the week from Sunday; absent: every day. */
  readonly dates?: readonly number[];
  readonly weekdays?: readonly number[];
}

const some = (max: number, min = 0) =>
  fc.uniqueArray(fc.integer({ min, max }), { minLength: 1, maxLength: 4 });
const times = { minutes: some(59), hours: some(23) };
const fields: fc.Arbitrary<Fields> = fc.oneof(
  fc.record(times),
  fc.record({ ...times, dates: some(31, 1) }),
  fc.record({ ...times, weekdays: some(6) }),
);

function expressionOf({ minutes, hours, dates, weekdays }: Fields): string {
  const list = (numbers: readonly number[] | undefined) => numbers?.join(",") ?? "*";
  return `${list(minutes)} ${list(hours)} ${list(dates)} * ${list(weekdays)}`;
}

/** Every run of nine years, found by looking at each day's calendar. */
function runs({ minutes, hours, dates, weekdays }: Fields): number[] {
  const inDay = hours
    .flatMap((hour) => minutes.map((minute) => (hour * 60 + minute) * 60_000))
    .toSorted((a, b) => a - b);
  const found: number[] = [];
  for (let day = Date.UTC(2027, 0, 1); day < Date.UTC(2036, 0, 1); day += DAY_MS) {
    const date = new Date(day);
    if (dates && !dates.includes(date.getUTCDate())) continue;
    if (weekdays && !weekdays.includes(date.getUTCDay())) continue;
    for (const time of inDay) found.push(day + time);
  }
  return found;
}

it("for any cron expression the longest gap is the one that a calendar shows", () => {
  fc.assert(
    fc.property(fields, (drawn) => {
      const found = runs(drawn);
      const gaps = found.slice(1).map((run, i) => run - (found[i] ?? 0));
      const schedule = Schedule.cron(expressionOf(drawn));
      const longest = gaps.reduce((most, gap) => Math.max(most, gap), 0);
      assert.equal(Math.round(schedule.longestGapHours() * 3_600_000), longest);
      const perDay = found.length / ((Date.UTC(2036, 0, 1) - Date.UTC(2027, 0, 1)) / DAY_MS);
      assert.ok(Math.abs(schedule.runsPerDay() / perDay - 1) < 0.02, `${schedule.runsPerDay()}`);
    }),
    { numRuns: 40 },
  );
});
