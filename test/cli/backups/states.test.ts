import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeAge } from "../../../cli/backups/freshness.ts";
import { keptUntil, type State, stateOf } from "../../../cli/backups/states.ts";
import type { Entry } from "../../../common/contracts/agentEvents.ts";
import { entryOf, outputs } from "../support/factories.ts";

const STATES: readonly [State, Partial<Entry>, within: boolean][] = [
  ["complete", {}, true],
  ["verified", { verifiedKey: "k" }, true],
  ["suspect", { suspect: true, verifiedKey: "k" }, false],
  ["no manifest", { manifestKey: null, manifest: null }, false],
  ["legacy", { kind: "legacy", manifestKey: null }, false],
  ["ahead of time", { storedAt: "2026-11-24T03:10:01.000Z" }, false],
  ["complete", { storedAt: "2026-11-24T03:10:02.000Z" }, true],
];
for (const [state, entry, within] of STATES) {
  test(`the state of a backup: ${state}, which ${within ? "counts" : "does not count"}`, () => {
    const backup = entryOf("2026-11-24T03:15:02", entry);
    const { withinRpo } = judgeAge(outputs, [backup], Date.UTC(2026, 10, 24, 4));
    assert.deepEqual([stateOf(backup), withinRpo], [state, within]);
  });
}

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
