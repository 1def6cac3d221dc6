import assert from "node:assert/strict";
import { test } from "node:test";
import { keptUntil } from "../../../cli/commands/list.ts";
import type { Entry } from "../../../common/contracts/agentEvents.ts";
import { entryOf, hoursAgo, Outside, outputs } from "../support.ts";

test("list: header, table, and what is left out", async (t) => {
  const outside = await Outside.open(t);
  const newest = hoursAgo(7.1);
  const queue = entryOf(hoursAgo(1), { database: "shop_production_queue" });
  const old = Array.from({ length: 60 }, (_, i) => entryOf(hoursAgo(30 + i), { manifest: null }));
  await outside.backups(...old, queue, entryOf(newest));
  const text = await outside.run(["list"]);
  const lines = text.stdout.split("\n");
  assert.equal(
    lines[0],
    "shop_production   s3://shop-backups-4f2a/shop/production   newest 7 h old, RPO 26 h: ok",
  );
  assert.match(lines[2] ?? "", /^ {2}taken \(UTC\)/);
  assert.match(lines[3] ?? "", new RegExp(`^ {2}${newest.replace("T", " ")} .*complete`));
  assert.equal(lines.at(-2), "  11 older backups: list --all");
  assert.equal(text.code, 0);
  const all = await outside.run(["list", "--all"]);
  assert.equal(all.stdout.trimEnd().split("\n").length, 64);
  const json = JSON.parse((await outside.run(["list", "--json"])).stdout);
  assert.equal(json.backups.length, 61);
  assert.equal(json.backups[0].stamp, newest);
  assert.equal(json.withinRpo, true);
});

test("list: nothing there", async (t) => {
  const outside = await Outside.open(t);
  await outside.backups();
  const { stdout, code } = await outside.run(["list"]);
  assert.match(stdout, /no complete backup, RPO 26 h: missed\n$/);
  assert.equal(code, 0);
});

const TIERED = { retentionDays: 365, tierDays: { daily: 7, weekly: 35, monthly: 365 } };
const inSuspect = { key: "shop/production/suspect/shop_production_2026-11-01T03:15:02.dump.zst" };
const KEPT: readonly [what: string, rules: object, entry: Partial<Entry>, until: string][] = [
  ["without tiers", {}, {}, "2026-12-01"],
  ["without tiers, suspect", {}, { suspect: true, ...inSuspect }, "2026-12-01"],
  ["a tier's, after the tiers were given up", {}, { tier: "monthly" }, "2026-12-01"],
  ["daily", TIERED, { tier: "daily" }, "2026-11-08"],
  ["weekly", TIERED, { tier: "weekly" }, "2026-12-06"],
  ["monthly", TIERED, { tier: "monthly" }, "2027-11-01"],
  ["from before the tiers", TIERED, {}, "2027-11-01"],
  ["of the old image", TIERED, { kind: "legacy", manifestKey: null }, "2027-11-01"],
  ["suspect from the start", TIERED, { suspect: true, ...inSuspect }, "2026-11-08"],
  ["suspect for its size, in a tier", TIERED, { suspect: true, tier: "monthly" }, "2026-11-08"],
  ["unfinished among the suspect", TIERED, { manifestKey: null, ...inSuspect }, "2026-11-08"],
];
for (const [what, rules, entry, until] of KEPT) {
  test(`kept until: ${what}`, () => {
    const kept = keptUntil({ ...outputs, ...rules }, entryOf("2026-11-01T03:15:02", entry));
    assert.equal(kept, until);
  });
}
