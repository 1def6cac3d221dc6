import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeAge, judgeDatabases } from "../../../cli/backups/freshness.ts";
import { Problem } from "../../../common/problem.ts";
import { entryOf, outputs } from "../support/factories.ts";

const newest = entryOf("2026-11-24T03:15:02");
const unfinished = entryOf("2026-11-24T09:00:00", { manifestKey: null, manifest: null });
const legacy = entryOf("2026-11-24T08:00:00", { kind: "legacy", manifestKey: null });
const older = entryOf("2026-11-23T03:15:01");
const now = Date.UTC(2026, 10, 24, 10, 15, 2);

test("only a complete backup counts for the RPO", () => {
  const rows = [
    {
      entries: [unfinished, legacy, newest],
      ok: true,
      text: "newest backup 7 h old, RPO 26 h: ok",
    },
    {
      entries: [unfinished, legacy, older],
      ok: false,
      text: "newest backup 31 h old, RPO 26 h: missed",
    },
    { entries: [unfinished, legacy], ok: false, text: "no complete backup, RPO 26 h: missed" },
    { entries: [], ok: false, text: "no complete backup, RPO 26 h: missed" },
  ];
  for (const { entries, ok, text } of rows) {
    const { withinRpo, ...verdict } = judgeAge(outputs, entries, now);
    assert.equal(withinRpo, ok);
    assert.equal(verdict.text, text);
  }
});

test("a container that has just begun is not late, whatever the old image has left", () => {
  const hour = 3_600_000;
  const rows = [
    [[], 1, true, "no backup yet, RPO 26 h: the first is due within 25 h"],
    [
      [legacy],
      1,
      true,
      "none yet but those of the old image, RPO 26 h: the first is due within 25 h",
    ],
    [[legacy], 27, false, "no complete backup, RPO 26 h: missed"],
    [[unfinished], 1, false, "no complete backup, RPO 26 h: missed"],
  ] as const;
  for (const [entries, hours, ok, text] of rows) {
    const verdict = judgeAge(outputs, entries, now, hours * hour);
    assert.deepEqual([verdict.withinRpo, verdict.text], [ok, text]);
  }
});

test("a backup ahead of time keeps no verdict green", () => {
  const ahead = entryOf("2099-01-01T00:00:00", { storedAt: "2026-11-24T00:00:00.000Z" });
  const later = Date.UTC(2030, 10, 28, 18);
  const alone = judgeAge(outputs, [ahead], later);
  assert.equal(alone.withinRpo, false);
  assert.equal(
    alone.text,
    "no backup counts, for 2099-01-01 00:00:00 is ahead of time (stored 2026-11-24 00:00:00), RPO 26 h: missed",
  );
  assert.equal(judgeAge(outputs, [ahead, newest], now).text, "newest backup 7 h old, RPO 26 h: ok");
  assert.equal(judgeAge(outputs, [ahead, newest], later).withinRpo, false);
});

test("the RPO is met to the second and missed after it", () => {
  const at = (seconds: number) => Date.UTC(2026, 10, 25, 5, 15, 2 + seconds);
  assert.equal(judgeAge(outputs, [newest], at(0)).withinRpo, true);
  assert.equal(judgeAge(outputs, [newest], at(1)).withinRpo, false);
});

test("a database whose backups nobody has listed is not known, and the others are judged", () => {
  const listings = [
    { database: "shop", entries: [newest], source: "container" },
    { database: "blog", entries: [older], source: "container" },
  ] as const;
  const judge = (databases: readonly string[] | null, failure?: Problem) =>
    judgeDatabases(outputs, { databases, listings, ...(failure && { failure }) }, now).map(
      ({ database, withinRpo, source, text }) => [database, withinRpo, source, text],
    );
  const known = [
    ["shop", true, "container", "newest backup 7 h old, RPO 26 h: ok"],
    ["blog", false, "container", "newest backup 31 h old, RPO 26 h: missed"],
  ];
  const names = ["shop", "blog", "queue"];
  assert.deepEqual(judge(names), known);
  assert.deepEqual(judge(names, new Problem("Gone.")), [
    ...known,
    ["queue", false, null, "Not known: Gone."],
  ]);
  assert.deepEqual(judge(null, new Problem("Gone.")).at(-1)?.[2], null);
});
