import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { drillRemark, judgeDrills, unprovenIdentity } from "../../../cli/backups/drillFreshness.ts";
import type { DrillRecord } from "../../../common/contracts/drillRecord.ts";
import { drillRecord } from "../../support/manifest.ts";
import { entryOf, manifestOf } from "../support/factories.ts";

const now = Date.parse("2026-11-30T12:00:00Z");
const DAY = 86_400_000;
const daysAgo = (days: number, over: Partial<DrillRecord> = {}) =>
  drillRecord({ startedAt: new Date(now - days * DAY).toISOString(), ...over });
const failed = { verdict: "failed", reason: "it is damaged." } as const;
const weekly = { drill: { everyMs: 7 * DAY } };
const old = [entryOf("2026-11-01T03:15:02")];

describe("the newest drill", () => {
  const rows: readonly [
    what: string,
    drills: DrillRecord[],
    expected: [inTime: boolean, text: string],
  ][] = [
    ["as old as it may be", [daysAgo(7)], [true, "passed 7 d ago, due every 7 d"]],
    ["older than declared", [daysAgo(9)], [false, "passed 9 d ago"]],
    [
      "failed since",
      [daysAgo(1, failed), daysAgo(2)],
      [true, "passed 48 h ago, due every 7 d, the newest failed: it is damaged."],
    ],
    [
      "could not run since, and the last that passed is too old",
      [daysAgo(1, { verdict: "couldNotRun", reason: "no Docker." }), daysAgo(8)],
      [false, "passed 8 d ago, the newest could not run: no Docker."],
    ],
    ["of another major alone", [daysAgo(1, { upgradeTo: 18 })], [false, "none has passed"]],
    [
      "never passed",
      [daysAgo(1, failed)],
      [false, "none has passed, the newest failed: it is damaged."],
    ],
    ["not there", [], [false, "none has passed"]],
  ];
  for (const [what, drills, expected] of rows) {
    it(`is judged where it is ${what}`, () => {
      const judged = judgeDrills(weekly, { drills, entries: old }, now);
      assert.deepEqual([judged?.inTime, judged?.text], expected);
    });
  }

  it("is not due before a backup is as old as a drill may be", () => {
    const young = [entryOf("2026-11-28T03:15:02")];
    assert.equal(judgeDrills(weekly, { drills: [], entries: young }, now)?.inTime, true);
    assert.equal(judgeDrills(weekly, { drills: [], entries: [] }, now)?.inTime, true);
  });

  it("is shown, and never late, where none is declared", () => {
    const judged = judgeDrills({}, { drills: [daysAgo(90)], entries: old }, now);
    assert.deepEqual([judged?.inTime, judged?.text], [true, "passed 90 d ago"]);
    assert.equal(judgeDrills({}, { drills: [], entries: old }, now), undefined);
  });

  it("is not judged where nobody knows of drills", () => {
    assert.equal(judgeDrills(weekly, { entries: old }, now), undefined);
  });
});

describe("the reminder of an identity that nobody has tried", () => {
  const entryFor = (stamp: string, ...recipients: string[]) =>
    entryOf(stamp, { manifest: { ...manifestOf(stamp), recipients } });
  const entries = [entryFor("2026-11-30T03:15:02", "age1a"), entryFor("2026-10-01T03:15:02")];
  const of = (openedWith: string | null) => daysAgo(1, { openedWith });
  it("comes a month after the first backup, until a drill has opened one with it", () => {
    const reminder = /^no drill has opened a backup with the identity of age1a, so whether/;
    for (const drills of [[], [of(null)], [of("age1b")]]) {
      assert.match(unprovenIdentity({ drills, entries }, now) ?? "", reminder);
    }
    assert.equal(unprovenIdentity({ drills: [of("age1a")], entries }, now), undefined);
    assert.equal(unprovenIdentity({ drills: [], entries: entries.slice(0, 1) }, now), undefined);
    assert.equal(unprovenIdentity({ entries }, now), undefined);
  });

  it("never comes for a passphrase or a backup in clear, of which there is no identity", () => {
    const clear = [entryFor("2026-11-30T03:15:02"), entryFor("2026-10-01T03:15:02")];
    assert.equal(unprovenIdentity({ drills: [], entries: clear }, now), undefined);
  });
});

describe("the remark on a backup that was drilled", () => {
  const [entry] = old;
  const of = (over: Partial<DrillRecord>) =>
    daysAgo(1, { backup: { stamp: entry?.stamp ?? "", key: entry?.key ?? "" }, ...over });
  const rows: readonly [drills: DrillRecord[] | undefined, remark: string][] = [
    [undefined, ""],
    [[daysAgo(1)], ""],
    [[of({})], "drilled on 2026-11-29"],
    [[of({ upgradeTo: 18 })], "drilled on 2026-11-29 into PostgreSQL 18"],
    [[of(failed), of({})], "drill failed on 2026-11-29: it is damaged."],
    [[of({ verdict: "couldNotRun", reason: "no." })], ""],
  ];
  for (const [drills, remark] of rows) {
    it(remark || `is none: ${drills?.[0]?.verdict}`, () => {
      assert.ok(entry);
      assert.equal(drillRemark(drills, entry), remark);
    });
  }
});
