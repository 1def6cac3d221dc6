import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseEntry, judgeAge, stateOf } from "../../cli/backups/catalogue.ts";
import { entryOf, outputs } from "./samples.ts";

const newest = entryOf("2026-11-24T03:15:02");
const unfinished = entryOf("2026-11-24T09:00:00", { manifestKey: null, manifest: null });
const legacy = entryOf("2026-11-24T08:00:00", { kind: "legacy", manifestKey: null });
const older = entryOf("2026-11-23T03:15:01");
const now = Date.UTC(2026, 10, 24, 10, 15, 2);

test("the state of a backup", () => {
  assert.deepEqual([newest, unfinished, legacy].map(stateOf), [
    "complete",
    "no manifest",
    "legacy",
  ]);
});

test("only a complete backup counts for the RPO", () => {
  const rows = [
    { entries: [unfinished, legacy, newest], ok: true, text: "newest 7 h old, RPO 26 h: ok" },
    { entries: [unfinished, legacy, older], ok: false, text: "newest 31 h old, RPO 26 h: missed" },
    { entries: [unfinished, legacy], ok: false, text: "no complete backup, RPO 26 h: missed" },
    { entries: [], ok: false, text: "no complete backup, RPO 26 h: missed" },
  ];
  for (const { entries, ok, text } of rows) {
    const verdict = judgeAge(outputs, entries, now);
    assert.equal(verdict.ok, ok);
    assert.equal(verdict.text, text);
  }
});

test("the RPO is met to the second and missed after it", () => {
  const at = (seconds: number) => Date.UTC(2026, 10, 25, 5, 15, 2 + seconds);
  assert.equal(judgeAge(outputs, [newest], at(0)).ok, true);
  assert.equal(judgeAge(outputs, [newest], at(1)).ok, false);
});

test("a time is taken as the list shows it, and as machines write it", () => {
  const entries = [unfinished, newest, older];
  for (const wanted of ["2026-11-23 03:15:01", "2026-11-23T03:15:01", "2026-11-23T03:15:01Z"]) {
    assert.equal(chooseEntry(outputs, entries, wanted), older);
  }
  assert.equal(chooseEntry(outputs, entries, "latest"), newest);
});

test("a choice that cannot be restored is refused with a sentence", () => {
  const rows: [string, RegExp][] = [
    ["2026-11-24 09:00:00", /incomplete: its manifest is missing/],
    ["2026-11-22 00:00:00", /no backup of shop_production from 2026-11-22T00:00:00/],
    ["yesterday", /"yesterday" is no time of a backup/],
  ];
  for (const [wanted, message] of rows) {
    assert.throws(() => chooseEntry(outputs, [unfinished, newest], wanted), {
      name: "Problem",
      message,
    });
  }
  assert.throws(() => chooseEntry(outputs, [], "latest"), {
    message: /no backup of shop_production in s3:\/\/shop-backups-4f2a\/shop\/production/,
  });
});
