import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { chooseDrills, type DrillChoice } from "../../../cli/drill/chooseDrills.ts";
import type { Entry } from "../../../common/contracts/agentEvents.ts";
import { entryOf, outputs } from "../support/factories.ts";
import { printed } from "../support/run.ts";

const entries: Entry[] = [
  entryOf("2026-11-24T03:15:02", { originProblem: "unsigned" }),
  entryOf("2026-11-23T03:15:02", { tier: "daily" }),
  entryOf("2026-11-22T03:15:02", { tier: "daily" }),
  entryOf("2026-11-21T03:15:02", { tier: "weekly" }),
  entryOf("2026-11-20T03:15:02", { tier: "daily", suspect: true }),
  entryOf("2026-11-01T03:15:02", { tier: "monthly" }),
];

function chosen(choice: Partial<DrillChoice>, pick?: (below: number) => number): string[] {
  let days: string[] = [];
  printed((screen) => {
    const session = { backup: outputs, screen };
    const found = chooseDrills(session, entries, { time: "", ...choice }, pick);
    days = found.map(({ stamp }) => stamp.slice(8, 10));
  });
  return days;
}

describe("the backup that is drilled", () => {
  it("is the newest that counts, or one by its time", () => {
    assert.deepEqual(chosen({}), ["23"]);
    assert.deepEqual(chosen({ time: "latest" }), ["23"]);
    assert.deepEqual(chosen({ time: "2026-11-22 03:15:02" }), ["22"]);
  });

  it("is any one of those that count", () => {
    const picks = [0, 1, 2, 3].map((index) =>
      chosen({ random: true }, (below) => {
        assert.equal(below, 4);
        return index;
      }),
    );
    assert.deepEqual(picks.flat(), ["23", "22", "21", "01"]);
  });

  it("is the newest of each tier", () => {
    assert.deepEqual(chosen({ eachTier: true }), ["23", "21", "01"]);
  });

  for (const [choice, sentence] of [
    [{ random: true, eachTier: true }, /--random and --each-tier each choose the backup/],
    [{ time: "latest", random: true }, /latest and --random each choose/],
    [{ time: "2026-11-24T03:15:02" }, /may be somebody else's: .*Drill another one/],
    [{ time: "2020-01-01" }, /no backup of shop_production from 2020-01-01/],
  ] as const) {
    it(`is refused: ${JSON.stringify(choice)}`, () => {
      assert.throws(() => chosen(choice), sentence);
    });
  }
});
