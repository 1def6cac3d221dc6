import assert from "node:assert/strict";
import { test } from "node:test";
import { nextRun } from "../../common/schedule/nextRun.ts";
import { Schedule } from "../../common/schedule/schedule.ts";

const NOW = new Date("2026-11-24T10:21:30Z");

/** What the component declares must be what the container obeys: each is fed to both. */
const TAKEN = [
  "15 3 * * *",
  "  15   3 * * *  ",
  "15\t3\t*\t*\t*",
  "* * * * *",
  "*/5 * * * *",
  "5/15 * * * *",
  "0 2/6 * * *",
  "0 0 10/5 * *",
  "1-10/3 * * * *",
  "0 3 * * 0",
  "0 3 * * 7",
  "0 3 * * MON",
  "0 3 * * mon-fri",
  "0 0 1,15 * 3",
  "0 0 1 jan ?",
  "0 0 ? * tue",
  "0 3 29 2 *",
  "0 3 31 * *",
  "0 3 L * *",
  "30 0 3 * * *",
  "*/10 * * * * *",
  "0 5/15 * * * *",
  "59 59 23 31 12 *",
  "@yearly",
  "@annually",
  "@monthly",
  "@weekly",
  "@daily",
  "@midnight",
  "@hourly",
  "@Daily",
  "@HOURLY",
  "@every 6h",
  "@every  90m",
  "@every 1h30m",
  "@every 30m1h",
  "@every 1.5h",
  "@every 1s",
  "@every 999h59m59s",
  "TZ=Europe/Paris 15 3 * * *",
  "CRON_TZ=Asia/Tokyo @daily",
  "TZ=UTC @every 6h",
];

const REFUSED = [
  "",
  "   ",
  "sometimes",
  "3",
  "* * * *",
  "* * * * * * *",
  "0 0 3 * * * 2030",
  "61 * * * *",
  "0 24 * * *",
  "0 3 0 * *",
  "0 3 32 * *",
  "0 3 * 13 *",
  "0 3 * * 8",
  "0 3 * * noday",
  "*/0 * * * *",
  "10-5 * * * *",
  "a b c d e",
  "2026-12-24T03:15:00",
  "0 0 31 2 *",
  "0 0 30 2 *",
  "@fortnightly",
  "@reboot",
  "@",
  "@every",
  "@every ",
  "@every 6",
  "@every 6x",
  "@every 6 h",
  "@every 0s",
  "@every 0.5s",
  "@every -1h",
  "@every 99999999h",
  "TZ=Nowhere/City 0 0 * * *",
  "TZ=Nowhere/City @every 6h",
  "TZ=Europe/Paris",
  "TZ= 0 0 * * *",
];

test("the two lists are long, and hold nothing twice", () => {
  const all = [...TAKEN, ...REFUSED];
  assert.equal(new Set(all).size, all.length);
  assert.ok(all.length > 60);
});

for (const text of TAKEN) {
  test(`both take "${text}", and mean the same`, () => {
    const declared = Schedule.parse(text);
    const next = nextRun(text, NOW);
    assert.deepEqual(nextRun(declared.toString(), NOW), next);
    assert.ok(next.getTime() - NOW.getTime() <= declared.longestGapHours() * 3_600_000 + 60_000);
    assert.ok(declared.runsPerDay() > 0);
  });
}

for (const text of REFUSED) {
  test(`both refuse "${text}" with a sentence`, () => {
    const refused = { name: "Problem", message: /cannot be read: .+\. .+/ };
    assert.throws(() => Schedule.parse(text), refused);
    assert.throws(() => nextRun(text, NOW), refused);
  });
}
