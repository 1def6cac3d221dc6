import assert from "node:assert/strict";
import { it } from "node:test";
import { parseMoment } from "../../../../cli/restore/pointInTime/moment.ts";
import { targetTime } from "../../../../common/contracts/pointInTime.ts";

it("--to takes date and time, in UTC or with a zone, to the microsecond", () => {
  const table: readonly (readonly [typed: string, moment: string])[] = [
    ["2026-11-28 10:15:00", "2026-11-28T10:15:00.000Z"],
    ["2026-11-28T10:15:00Z", "2026-11-28T10:15:00.000Z"],
    [" 2026-11-28 10:15 ", "2026-11-28T10:15:00.000Z"],
    ["2026-11-28 10:15:00 UTC", "2026-11-28T10:15:00.000Z"],
    ["2026-11-28 11:15:00+01:00", "2026-11-28T10:15:00.000Z"],
    ["2026-11-28 11:15:00+01", "2026-11-28T10:15:00.000Z"],
    ["2026-11-28 05:45:00 -0430", "2026-11-28T10:15:00.000Z"],
    ["2026-11-28 10:15:00.678423", "2026-11-28T10:15:00.678423Z"],
    ["2026-11-28 10:15:00.5", "2026-11-28T10:15:00.500Z"],
    // The hour that a clock shows twice, and the one that it leaves out, have one meaning each with a zone.
    ["2026-10-25 02:30:00+02:00", "2026-10-25T00:30:00.000Z"],
    ["2026-10-25 02:30:00+01:00", "2026-10-25T01:30:00.000Z"],
    ["2026-03-29 02:30:00", "2026-03-29T02:30:00.000Z"],
    ["2026-01-01 00:30:00+02:00", "2025-12-31T22:30:00.000Z"],
    ["latest", "latest"],
  ];
  for (const [typed, moment] of table) assert.equal(parseMoment(typed), moment, typed);
});

it("--to refuses what is no time, with an example", () => {
  const typed = ["", "now", "2026-11-28", "10:15", "2026-02-30 10:15", "2026-11-28 24:00:00"];
  for (const text of [
    ...typed,
    "2026-11-28 10:61",
    "2026-11-28 10:15:00 CET",
    "28.11.2026 10:15",
  ]) {
    assert.throws(() => parseMoment(text), {
      name: "Problem",
      message: `--to ${text} is no time. Give date and time, e.g. "2026-11-28 10:15:00" in UTC, or with a zone: "2026-11-28 11:15:00+01:00"; or latest.`,
    });
  }
});

it("PostgreSQL gets the moment with the zone as a number", () => {
  assert.equal(targetTime("2026-11-28T10:15:00.678423Z"), "2026-11-28 10:15:00.678423+00");
});
