import assert from "node:assert/strict";
import { test } from "node:test";
import { parseScheduleOf, Schedule } from "../../common/schedule/schedule.ts";

const PER_DAY: Record<string, number> = {
  "15 3 * * *": 1,
  "@hourly": 24,
  "@every 6h": 4,
  "@every 2s": 43_200,
  "*/15 8-17 * * *": 40,
  "0 3 * * 0": 1 / 7,
  "0 9,21 * * mon-fri": 10 / 7,
  "0 3 1 * *": 12 / 365.25,
  "0 3 29 2 *": 1 / (4 * 365.25),
};
for (const [schedule, expected] of Object.entries(PER_DAY)) {
  test(`${schedule} runs ${expected.toFixed(4)} times a day`, () => {
    const actual = Schedule.parse(schedule).runsPerDay();
    assert.ok(Math.abs(actual - expected) / expected < 0.005, `${actual}`);
  });
}

test("a schedule of another setting is refused by that setting's name", () => {
  assert.equal(parseScheduleOf("copy.every", "@every 6h").longestGapHours(), 6);
  assert.throws(() => parseScheduleOf("copy.every", "daily"), {
    name: "Problem",
    message: /^copy\.every "daily" cannot be read: .*Give for instance/,
  });
});
