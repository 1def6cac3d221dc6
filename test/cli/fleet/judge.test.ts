import assert from "node:assert/strict";
import { test } from "node:test";
import {
  drillText,
  judge,
  keptText,
  lockText,
  sizesOf,
  sparkline,
} from "../../../cli/fleet/judge.ts";
import type { Looked } from "../../../cli/fleet/look.ts";
import { readStacks } from "../../../cli/fleet/stacks.ts";
import { entryOf, outputs } from "../support/factories.ts";
import { before, drillOf, lookedOf, NOW, storedOf } from "./factories.ts";

const WEEK = 7 * 86_400_000;

test("what is well, what needs attention, and what is not known", () => {
  const declared = { ...outputs, drill: { everyMs: WEEK } };
  const { location } = outputs;
  const copied = { ...outputs, copy: { location, writerKeyId: "k", rpoHours: 12 } };
  const rows: [what: Partial<Looked>, verdict: string, attention: readonly RegExp[]][] = [
    [{}, "ok", []],
    [{ databases: [storedOf(30, { drills: [] })] }, "ok", []],
    [
      { databases: [storedOf(2, { entries: [entryOf(before(31))] })] },
      "attention",
      [/^newest backup 31 h old, RPO 26 h: missed$/],
    ],
    [
      { databases: [storedOf(0), storedOf(3, { database: "queue" })] },
      "attention",
      [/^shop_production: no complete backup/],
    ],
    [{ databases: [] }, "attention", [/^no backup of any database$/]],
    [
      {
        databases: [
          storedOf(30, { drills: [drillOf(1, { verdict: "failed", reason: "1 row less" })] }),
        ],
      },
      "attention",
      [/^the newest drill failed: 1 row less$/],
    ],
    [{ backup: declared }, "ok", []],
    [
      { backup: declared, databases: [storedOf(30, { drills: [drillOf(9 * 24)] })] },
      "attention",
      [/^drill: passed 9 d ago$/],
    ],
    [
      {
        backup: declared,
        databases: [storedOf(30, { drills: [drillOf(1, { verdict: "couldNotRun" })] })],
      },
      "attention",
      [/^drill: none has passed, the newest could not run: null$/],
    ],
    [{ backup: copied, copies: [storedOf(30)] }, "ok", []],
    [
      { backup: copied, copies: [storedOf(1, { entries: [entryOf(before(20))] })] },
      "attention",
      [/^copy of shop_production: newest backup 20 h old, RPO 12 h: missed$/],
    ],
    [{ pending: 2 }, "attention", [/^an update was cut off/]],
    [{ failure: "no passphrase.", databases: [] }, "unknown", [/^no passphrase\.$/]],
  ];
  for (const [what, verdict, attention] of rows) {
    const judged = judge(lookedOf(what), NOW);
    assert.equal(judged.attention.length, attention.length, judged.attention.join("; "));
    for (const [i, pattern] of attention.entries())
      assert.match(judged.attention[i] ?? "", pattern);
    assert.equal(judged.verdict, verdict);
  }
});

test("what is stored, and what it costs where a price is known", () => {
  const entries = [entryOf(before(1), { bytes: 3e9 }), entryOf(before(25), { bytes: 1e9 })];
  const databases = [storedOf(0, { entries })];
  const r2 = `https://${"0a".repeat(16)}.r2.cloudflarestorage.com`;
  const at = (endpoint: string | undefined, usdPerGbMonth?: number) => {
    const location = { ...outputs.location, ...(endpoint && { endpoint }) };
    const backup = { ...outputs, location, ...(usdPerGbMonth && { usdPerGbMonth }) };
    return judge(lookedOf({ backup, databases }), NOW);
  };
  assert.equal(at(undefined).storedBytes, 4e9);
  assert.equal(at(undefined).monthlyUsd, undefined);
  assert.equal(at(undefined, 0.02).monthlyUsd, 0.08);
  assert.equal(at(r2).monthlyUsd, 0.06);
  const copy = { location: outputs.location, writerKeyId: "k", rpoHours: 26 };
  const backup = { ...outputs, usdPerGbMonth: 0.02, copy };
  const both = judge(lookedOf({ backup, databases, copies: databases }), NOW);
  assert.deepEqual([both.storedBytes, both.monthlyUsd], [8e9, 0.16]);
});

test("the words of a row", () => {
  assert.equal(judge(lookedOf(), NOW).title, "shop production");
  assert.equal(judge(lookedOf({ stack: "" }), NOW).title, "shop");
  assert.equal(judge({ stack: "x", databases: [], pending: 0, failure: "no" }, NOW).title, "x");
  assert.equal(drillText(storedOf(1), NOW), "2 d, passed".replace("2 d", "48 h"));
  assert.equal(drillText(storedOf(1, { drills: [] }), NOW), "-");
  const broken = drillOf(4, { verdict: "couldNotRun" });
  assert.equal(drillText(storedOf(1, { drills: [broken] }), NOW), "4 h, could not run");
  assert.equal(keptText(lookedOf()), "30 d");
  const tierDays = { daily: 7, weekly: 35, monthly: 365 };
  assert.equal(keptText(lookedOf({ backup: { ...outputs, tierDays } })), "7/35/365 d");
  assert.equal(lockText(lookedOf({ lock: { mode: "GOVERNANCE", days: 30 } })), "30 d governance");
  assert.equal(lockText(lookedOf()), "-");
});

test("a sparkline has the height of the size, oldest first", () => {
  assert.equal(sparkline([100, 50, 25, 1, 0]), "█▄▂▁▁");
  assert.equal(sparkline([7, 7, 7]), "███");
  assert.equal(sparkline([]), "");
  const suspect = entryOf(before(3), { bytes: 1, suspect: true });
  const { entries } = storedOf(3);
  const sizes = sizesOf(storedOf(0, { entries: [suspect, ...entries] }), 2);
  assert.deepEqual(sizes, [411_000_000, 412_000_000]);
});

test("a file of stacks: comments, folders with blanks, and their own project", () => {
  const text = "# ours\nproduction\n\n  ../blog app/backup   acme/blog/production  \r\n";
  assert.deepEqual(
    readStacks(text, "/ops", "/shop/backup").map(({ stack, choice }) => [stack, choice.cwd]),
    [
      ["production", "/shop/backup"],
      ["acme/blog/production", "/blog app/backup"],
    ],
  );
});
