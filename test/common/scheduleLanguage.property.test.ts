import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nextRun } from "../../common/schedule/nextRun.ts";
import { Schedule, type Weekday } from "../../common/schedule/schedule.ts";

const NOW = new Date("2026-11-24T10:21:30Z");

const blank = fc.constantFrom(" ", "  ", "\t", " \t ");
const field = (min: number, max: number) =>
  fc.oneof(
    fc.constant("*"),
    fc.integer({ min, max }).map(String),
    fc.integer({ min: 1, max: 6 }).map((step) => `*/${step}`),
    fc
      .tuple(fc.integer({ min, max }), fc.integer({ min, max }))
      .map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
    fc
      .uniqueArray(fc.integer({ min, max }), { minLength: 2, maxLength: 4 })
      .map((list) => list.join(",")),
  );
// Days up to 28, so that each month has them.
const cron = fc
  .tuple(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6), blank)
  .map(([minute, hour, date, month, day, gap]) => [minute, hour, date, month, day].join(gap));
const phrase = fc.oneof(
  cron,
  fc.constantFrom("@yearly", "@monthly", "@weekly", "@daily", "@midnight", "@hourly", "@Daily"),
  fc
    .tuple(fc.integer({ min: 1, max: 48 }), fc.constantFrom("h", "m"))
    .map(([n, unit]) => `@every ${n}${unit}`),
);
const zone = fc.constantFrom("", "TZ=Europe/Paris ", "CRON_TZ=Asia/Tokyo ");
const language = fc
  .tuple(blank, zone, phrase, blank)
  .map(([before, timezone, text, after]) => `${before}${timezone}${text}${after}`);

test("a schedule's text, read again, is the same schedule", () => {
  fc.assert(
    fc.property(language, (text) => {
      const once = Schedule.parse(text);
      const twice = Schedule.parse(once.toString());
      assert.equal(twice.toString(), once.toString());
      assert.equal(twice.longestGapHours(), once.longestGapHours());
      assert.equal(twice.runsPerDay(), once.runsPerDay());
    }),
    { numRuns: 20 },
  );
});

test("the container runs by a schedule's text as by the text that was given", () => {
  fc.assert(
    fc.property(language, (text) => {
      const due = (schedule: string) => nextRun(schedule, NOW, { timezone: "UTC" });
      assert.deepEqual(due(Schedule.parse(text).toString()), due(text));
    }),
    { numRuns: 40 },
  );
});

test("what a factory makes is read back", () => {
  const time = fc
    .tuple(fc.nat({ max: 23 }), fc.nat({ max: 59 }))
    .map((parts) => parts.map((n) => String(n).padStart(2, "0")).join(":"));
  const day = fc.constantFrom<Weekday>("sun", "mon", "tue", "wed", "thu", "fri", "sat");
  const made = fc.oneof(
    time.map((at) => Schedule.daily(at)),
    fc.nat({ max: 59 }).map((minute) => Schedule.hourly(minute)),
    fc.tuple(day, time).map(([on, at]) => Schedule.weekly(on, at)),
    fc.integer({ min: 1, max: 600 }).map((minutes) => Schedule.every(`${minutes}m`)),
  );
  fc.assert(
    fc.property(made, (schedule) => {
      const again = Schedule.parse(schedule.toString());
      assert.equal(again.toString(), schedule.toString());
      assert.equal(again.longestGapHours(), schedule.longestGapHours());
    }),
    { numRuns: 20 },
  );
});
