import assert from "node:assert/strict";
import { test } from "node:test";
import {
  ageHours,
  dayAfter,
  fileFault,
  formatAge,
  formatCount,
  formatDuration,
  formatRate,
  formatStamp,
  plural,
  writeFault,
} from "../../../cli/terminal/format.ts";

test("durations", () => {
  const rows: [number, string][] = [
    [0, "0.0 s"],
    [300, "0.3 s"],
    [9_949, "9.9 s"],
    [9_960, "10 s"],
    [59_600, "1 min 0 s"],
    [125_000, "2 min 5 s"],
    [3_599_600, "1 h 0 min"],
    [11_520_000, "3 h 12 min"],
  ];
  for (const [ms, text] of rows) assert.equal(formatDuration(ms), text);
});

test("ages are rounded down, in hours up to three days", () => {
  const rows: [number, string][] = [
    [-5, "0 s"],
    [45_000, "45 s"],
    [3_599_999, "59 min"],
    [31.9 * 3_600_000, "31 h"],
    [71.9 * 3_600_000, "71 h"],
    [72 * 3_600_000, "3 d"],
  ];
  for (const [ms, text] of rows) assert.equal(formatAge(ms), text);
});

test("a rate is not guessed from too short a time", () => {
  assert.equal(formatRate(38_000_000, 1000), "38 MB/s");
  assert.equal(formatRate(38_000_000, 20), "");
});

test("counts, stamps and days", () => {
  assert.equal(formatCount(18_204_117), "18,204,117");
  assert.equal(plural(1, "table"), "1 table");
  assert.equal(plural(0, "row"), "0 rows");
  assert.equal(formatStamp("2026-11-24T03:15:02"), "2026-11-24 03:15:02");
  assert.equal(dayAfter("2026-11-24T03:15:02", 30), "2026-12-24");
  assert.equal(ageHours("2026-11-24T03:00:00", Date.UTC(2026, 10, 24, 10)), 7);
});

test("why a file cannot be read is a clause; a rare code stands for itself", () => {
  assert.equal(fileFault({ code: "ENOENT" }), "there is no such file");
  assert.equal(fileFault({ code: "EACCES" }), "its permissions do not allow it");
  assert.equal(fileFault({ code: "EMFILE" }), "EMFILE");
  assert.equal(writeFault({ code: "ENOENT" }), "there is no such folder");
  assert.equal(writeFault({ code: "EISDIR" }), "it is a folder");
});
