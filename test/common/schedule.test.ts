import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { parseDuration } from "../../common/schedule/duration.ts";
import { dueAfter, lastDue, nextRun, withJitter } from "../../common/schedule/nextRun.ts";

const FROM = new Date("2026-11-24T10:21:30Z");

describe("nextRun", () => {
  const table: readonly [expression: string, timezone: string | undefined, due: string][] = [
    ["15 3 * * *", undefined, "2026-11-25T03:15:00Z"],
    ["30 21 10 * * *", undefined, "2026-11-25T10:21:30Z"],
    ["31 21 10 * * *", undefined, "2026-11-24T10:21:31Z"],
    ["*/5 * * * *", undefined, "2026-11-24T10:25:00Z"],
    ["0 3 * * MON", undefined, "2026-11-30T03:00:00Z"],
    ["0 0 1,15 * 3", undefined, "2026-11-25T00:00:00Z"],
    ["5/15 * * * *", undefined, "2026-11-24T10:35:00Z"],
    ["1-10/3 * * * *", undefined, "2026-11-24T11:01:00Z"],
    ["0 0 ? * tue", undefined, "2026-12-01T00:00:00Z"],
    ["0 0 1 jan ?", undefined, "2027-01-01T00:00:00Z"],
    ["@hourly", undefined, "2026-11-24T11:00:00Z"],
    ["@daily", undefined, "2026-11-25T00:00:00Z"],
    ["@midnight", undefined, "2026-11-25T00:00:00Z"],
    ["@weekly", undefined, "2026-11-29T00:00:00Z"],
    ["@monthly", undefined, "2026-12-01T00:00:00Z"],
    ["@yearly", undefined, "2027-01-01T00:00:00Z"],
    ["@annually", undefined, "2027-01-01T00:00:00Z"],
    ["@every 1h30m", undefined, "2026-11-24T11:51:30Z"],
    ["@every 90s", undefined, "2026-11-24T10:23:00Z"],
    ["@every 1.5h", undefined, "2026-11-24T11:51:30Z"],
    ["  15 3 * * *  ", undefined, "2026-11-25T03:15:00Z"],
    ["15 3 * * *", "Europe/Paris", "2026-11-25T02:15:00Z"],
    ["TZ=America/New_York 15 3 * * *", "Europe/Paris", "2026-11-25T08:15:00Z"],
    ["CRON_TZ=Asia/Tokyo @daily", undefined, "2026-11-24T15:00:00Z"],
  ];
  for (const [expression, timezone, due] of table) {
    it(`${expression} ${timezone ?? ""}`, () => {
      assert.equal(
        nextRun(expression, FROM, { timezone }).toISOString(),
        due.replace("Z", ".000Z"),
      );
    });
  }

  for (const expression of [
    "",
    "sometimes",
    "* * * *",
    "* * * * * * *",
    "61 * * * *",
    "@fortnightly",
    "@every",
    "@every 6",
    "@every 6x",
    "@every 0s",
    "@every -1h",
    "0 0 31 2 *",
    "TZ=Nowhere/City 0 0 * * *",
  ]) {
    it(`refuses "${expression}" with a sentence`, () => {
      assert.throws(() => nextRun(expression, FROM), {
        name: "Problem",
        message: /^SCHEDULE ".*" (cannot be read|is never due)/,
      });
    });
  }

  it("skips the hour that summer time leaves out, and does not run twice when it returns", () => {
    const spring = nextRun("30 2 * * *", new Date("2026-03-28T12:00:00Z"), {
      timezone: "Europe/Paris",
    });
    assert(spring.getTime() <= Date.parse("2026-03-30T00:30:00Z"));
    const autumn = nextRun("30 2 * * *", new Date("2026-10-25T00:30:00Z"), {
      timezone: "Europe/Paris",
    });
    assert.equal(autumn.toISOString(), "2026-10-26T01:30:00.000Z");
  });
});

describe("dueAfter", () => {
  it("counts @every from when the last run was due, not from its end", () => {
    const last = new Date("2026-11-24T09:30:00Z");
    assert.equal(dueAfter("@every 1h", FROM, { last }).toISOString(), "2026-11-24T10:30:00.000Z");
  });

  it("does not make up for what a long run has missed", () => {
    const last = new Date("2026-11-24T03:00:00Z");
    assert.equal(dueAfter("@every 1h", FROM, { last }).toISOString(), "2026-11-24T11:21:30.000Z");
    assert.equal(dueAfter("@hourly", FROM, { last }).toISOString(), "2026-11-24T11:00:00.000Z");
  });
});

describe("lastDue", () => {
  const table: readonly [expression: string, timezone: string | undefined, due: string][] = [
    ["15 3 * * *", undefined, "2026-11-24T03:15:00Z"],
    ["30 21 10 * * *", undefined, "2026-11-24T10:21:30Z"],
    ["31 21 10 * * *", undefined, "2026-11-23T10:21:31Z"],
    ["@weekly", undefined, "2026-11-22T00:00:00Z"],
    ["0 0 29 2 *", undefined, "2024-02-29T00:00:00Z"],
    ["15 3 * * *", "Europe/Paris", "2026-11-24T02:15:00Z"],
    ["TZ=America/New_York 15 3 * * *", undefined, "2026-11-24T08:15:00Z"],
    ["@every 6h", undefined, "2026-11-24T04:21:30Z"],
  ];
  for (const [expression, timezone, due] of table) {
    it(`${expression} ${timezone ?? ""}`, () => {
      assert.equal(
        lastDue(expression, FROM, { timezone })?.toISOString(),
        due.replace("Z", ".000Z"),
      );
    });
  }

  it("and nextRun have nothing between them", () => {
    for (const expression of ["15 3 * * *", "*/7 * * * *", "0 0 1,15 * *", "@hourly"]) {
      const last = lastDue(expression, FROM);
      assert(last);
      assert.deepEqual(nextRun(expression, last), nextRun(expression, FROM), expression);
    }
  });
});

describe("startOf", () => {
  it("is the due time without jitter, else within it, both ends included", () => {
    assert.deepEqual(withJitter(FROM, 0), FROM);
    assert.deepEqual(
      withJitter(FROM, 600, () => 0),
      FROM,
    );
    assert.equal(withJitter(FROM, 600, () => 0.999_999).getTime() - FROM.getTime(), 600_000);
    const starts = new Set(Array.from({ length: 200 }, () => withJitter(FROM, 600).getTime()));
    assert(starts.size > 20, "chosen anew each time");
  });
});

const durations: readonly [text: string, ms: number | undefined][] = [
  ["90s", 90_000],
  ["10m", 600_000],
  ["1h30m", 5_400_000],
  ["7d", 604_800_000],
  ["1d2h3m4s", 93_784_000],
  [" 2h ", 7_200_000],
  ["", undefined],
  ["0m", undefined],
  ["10", undefined],
  ["m", undefined],
  ["1.5h", undefined],
  ["-1h", undefined],
  ["30m1h", undefined],
  ["1w", undefined],
];

for (const [text, ms] of durations) {
  test(`"${text}" is ${ms === undefined ? "no duration" : `${ms} ms`}`, () => {
    assert.equal(parseDuration(text), ms);
  });
}
