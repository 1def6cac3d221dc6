import assert from "node:assert/strict";
import { test } from "node:test";
import { assumedBases, baseDue, pauseAfter } from "../../../agent/wal/baseDue.ts";

/** Sundays at two. */
const weekly = { baseSchedule: "0 2 * * 0" };
/** A Wednesday; the schedule was due on the 22nd. */
const now = new Date("2026-11-25T12:00:00Z");

const table: readonly [
  what: string,
  known: { whole: string | null; newest: string | null },
  canIncrement: boolean,
  due: string | undefined,
][] = [
  ["a chain without a base", { whole: null, newest: null }, true, "whole"],
  [
    "the base of the last due time is there",
    { whole: "2026-11-22T02:00:03", newest: "2026-11-22T02:00:03" },
    false,
    undefined,
  ],
  [
    "the base of the last due time is missing",
    { whole: "2026-11-15T02:00:03", newest: "2026-11-25T11:00:00" },
    true,
    "whole",
  ],
  [
    "one by hand since then will do",
    { whole: "2026-11-23T15:00:00", newest: "2026-11-24T15:00:00" },
    true,
    undefined,
  ],
  [
    "the newest is a day old, and the server can tell what has changed",
    { whole: "2026-11-22T02:00:03", newest: "2026-11-24T12:00:00" },
    true,
    "incremental",
  ],
  [
    "the newest is not a day old yet",
    { whole: "2026-11-22T02:00:03", newest: "2026-11-24T12:00:01" },
    true,
    undefined,
  ],
];

for (const [what, known, canIncrement, due] of table) {
  test(`${what}: ${due ?? "nothing"} is due`, () => {
    assert.equal(baseDue(known, weekly, canIncrement, now, "UTC"), due);
  });
}

test("where the key may not look, a chain that is younger than the last due time has no base, and an older one its own", () => {
  const young = assumedBases("kpb_20261122t020001_9f3a1c", weekly, now, "UTC");
  assert.equal(baseDue(young, weekly, false, now, "UTC"), "whole");
  const old = assumedBases("kpb_20261122t015959_9f3a1c", weekly, now, "UTC");
  assert.equal(baseDue(old, weekly, false, now, "UTC"), undefined);
});

test("a base that failed is tried again after an hour, then daily", () => {
  assert.deepEqual(
    [1, 2, 3].map((failures) => pauseAfter(failures) / 3_600_000),
    [1, 24, 24],
  );
});
