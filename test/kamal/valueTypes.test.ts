import assert from "node:assert/strict";
import { test } from "node:test";
import { Schedule, type Weekday } from "../../common/schedule/schedule.ts";
import { Retention } from "../../storage/planning/retention.ts";

const GOOD: readonly (readonly [
  name: string,
  schedule: () => Schedule,
  text: string,
  gapHours: number,
])[] = [
  ["daily", () => Schedule.daily("03:15"), "15 3 * * *", 24],
  ["daily by default", () => Schedule.daily(), "15 3 * * *", 24],
  ["daily at midnight", () => Schedule.daily("0:00"), "0 0 * * *", 24],
  ["hourly", () => Schedule.hourly(), "0 * * * *", 1],
  ["hourly at a minute", () => Schedule.hourly(59), "59 * * * *", 1],
  ["weekly", () => Schedule.weekly("sun", "03:15"), "15 3 * * 0", 168],
  ["every", () => Schedule.every("6h"), "@every 6h", 6],
  ["every, composed", () => Schedule.every("1h30m"), "@every 1h30m", 1.5],
  ["every second", () => Schedule.every("1s"), "@every 1s", 1 / 3600],
  ["cron on mondays", () => Schedule.cron("0 3 * * 1"), "0 3 * * 1", 168],
  ["cron with names and spaces", () => Schedule.cron(" 0  3 * * MON-FRI "), "0 3 * * MON-FRI", 72],
  ["six fields", () => Schedule.cron("30 0 3 * * *"), "30 0 3 * * *", 24],
  ["first of the month", () => Schedule.cron("0 3 1 * *"), "0 3 1 * *", 31 * 24],
  ["31st", () => Schedule.cron("0 3 31 * *"), "0 3 31 * *", 61 * 24],
  ["leap day", () => Schedule.cron("0 3 29 2 *"), "0 3 29 2 *", (4 * 365 + 1) * 24],
  ["office hours", () => Schedule.cron("*/30 9-17 * * 1-5"), "*/30 9-17 * * 1-5", 63.5],
  ["night pause", () => Schedule.cron("0 0,6,20 * * *"), "0 0,6,20 * * *", 14],
  ["parsed cron", () => Schedule.parse("15 3 * * *"), "15 3 * * *", 24],
  ["parsed word", () => Schedule.parse("@daily"), "@daily", 24],
  ["parsed monthly", () => Schedule.parse("@monthly"), "@monthly", 744],
  ["from 5 in steps of 15", () => Schedule.cron("5/15 * * * *"), "5/15 * * * *", 0.25],
  ["in Tokyo", () => Schedule.parse("TZ=Asia/Tokyo 15 3 * * *"), "TZ=Asia/Tokyo 15 3 * * *", 24],
  ["in Paris", () => Schedule.parse("TZ=Europe/Paris @daily"), "TZ=Europe/Paris @daily", 25],
  ["parsed every", () => Schedule.parse("@every  90m"), "@every 90m", 1.5],
];

for (const [name, schedule, text, gapHours] of GOOD) {
  test(`schedule: ${name}`, () => {
    assert.equal(schedule().toString(), text);
    assert.equal(schedule().longestGapHours(), gapHours);
  });
}

test("schedule: a text reads back as itself", () => {
  for (const [, schedule] of GOOD) {
    const parsed = Schedule.parse(schedule().toString());
    assert.equal(parsed.toString(), schedule().toString());
    assert.equal(parsed.longestGapHours(), schedule().longestGapHours());
  }
});

const BAD: readonly (readonly [call: () => unknown, message: RegExp])[] = [
  [
    () => Schedule.daily("25:99"),
    /^Schedule\.daily\("25:99"\): give a time of day from 00:00 to 23:59/,
  ],
  [() => Schedule.daily("3"), /Schedule\.daily\("3"\)/],
  [() => Schedule.weekly("noday" as Weekday, "03:15"), /give a day out of sun, mon/],
  [() => Schedule.weekly("mon", "24:00"), /Schedule\.weekly\("mon", "24:00"\)/],
  [() => Schedule.hourly(60), /Schedule\.hourly\(60\): give a whole minute/],
  [() => Schedule.hourly(1.5), /Schedule\.hourly\(1\.5\)/],
  [() => Schedule.every("sometimes"), /"@every sometimes" cannot be read.*6h, 90m/],
  [() => Schedule.every("0h"), /"@every 0h"/],
  [() => Schedule.every(""), /"@every "/],
  [() => Schedule.every("-6h"), /"@every -6h"/],
  [() => Schedule.cron("0 3 * *"), /"0 3 \* \*" cannot be read: it has 4 fields instead of 5 or 6/],
  [() => Schedule.cron("99 3 * * *"), /Invalid value for minute: 99\. Give for instance/],
  [() => Schedule.cron("0 0 3 * * * 2030"), /it has 7 fields instead/],
  [() => Schedule.cron("0 3 30 2 *"), /no day ever matches it/],
  [() => Schedule.parse("sometimes"), /"sometimes" cannot be read/],
  [() => Schedule.parse("@reboot"), /@reboot is not known; the words are @yearly/],
  [() => Schedule.parse(""), /"" cannot be read/],
  [() => Retention.days(0), /^Retention\.days\(0\): give whole days/],
  [() => Retention.days(1.5), /Retention\.days\(1\.5\)/],
  [() => Retention.days(Number.NaN), /Retention\.days\(NaN\)/],
  [() => Retention.days(36_501), /1 to 36500/],
  [
    () => Retention.tiers({ daily: 7, weekly: 35, monthly: 0 }),
    /^Retention\.tiers\(\{ daily: 7, weekly: 35, monthly: 0 \}\): give whole days/,
  ],
  [() => Retention.tiers({ daily: 7, weekly: 5, monthly: 365 }), /at least as long as a daily one/],
];

for (const [call, message] of BAD) {
  test(`refused: ${message.source}`, () => {
    assert.throws(call, { name: "Problem", message });
  });
}

test("retention", () => {
  assert.equal(Retention.days(30).days, 30);
  assert.equal(String(Retention.days(30)), "30 days");
  assert.equal(String(Retention.days(1)), "1 day");
  const tiers = Retention.tiers({ daily: 7, weekly: 35, monthly: 365 });
  assert.equal(tiers.days, 365);
  assert.deepEqual(tiers.tierDays, { daily: 7, weekly: 35, monthly: 365 });
  assert.equal(String(tiers), "daily 7, weekly 35, monthly 365 days");
  assert.equal(Retention.days(30).tierDays, undefined);
});
