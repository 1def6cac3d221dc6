// tag: cloud

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  pointInTimeDays,
  provePointInTime,
  type WindowPlan,
} from "../../storage/planning/pointInTimePlan.ts";

const HOURS = 24;
/** What a base takes to be complete, hours. */
const BASE_TAKES = 1;

const window = fc.record({
  keepDays: fc.integer({ min: 1, max: 60 }),
  // From half a day to five weeks, in half hours.
  baseGapHours: fc.integer({ min: 24, max: 1680 }).map((halves) => halves / 2),
});

/**
 * Whether some second of the window cannot be reached, by walking through time: a base at each longest gap, every third one
 * failed or none. Recovery begins at a base and needs all WAL since then, so all from that base to the second asked for must
 * still be there.
 * @param days whole days after which each object expires, counted from its upload
 */
function hasHole(
  { keepDays, baseGapHours: gap }: WindowPlan,
  days: number,
  fails: (base: number) => boolean,
): boolean {
  const bases = Array.from({ length: 60 }, (_, base) => base).filter((base) => !fails(base));
  const keep = keepDays * HOURS;
  // Shortly before each moment at which something could change, once the first base is older than the window.
  const moments = Array.from({ length: 60 }, (_, base) => base * gap + BASE_TAKES + keep)
    .flatMap((at) => [at - 0.01, at + 0.01])
    .filter((now) => now - keep >= BASE_TAKES);
  return moments.some((now) => {
    const target = now - keep;
    // The newest base that was complete by then.
    const base = bases.filter((each) => each * gap + BASE_TAKES <= target).at(-1);
    return base === undefined || base * gap + days * HOURS <= now;
  });
}

const never = () => false;
const everyThird = (base: number) => base % 3 === 1;

describe("for any window and distance of base backups", () => {
  it("each second of the window is within reach for as long as the objects live, though a base fails", () => {
    fc.assert(
      fc.property(window, (plan) => {
        const days = pointInTimeDays(plan);
        assert.equal(hasHole(plan, days, never), false);
        assert.equal(hasHole(plan, days, everyThird), false);
      }),
      { numRuns: 300, examples: [[{ keepDays: 14, baseGapHours: 168 }]] },
    );
  });

  it("two days less leave a hole when a base fails, so nobody pays for more than a day too much", () => {
    fc.assert(
      fc.property(window, (plan) => {
        assert.equal(hasHole(plan, pointInTimeDays(plan) - 2, everyThird), true);
      }),
      { numRuns: 300 },
    );
  });

  it("what is refused names days, a window and a distance that are taken, and the next larger ones are not", () => {
    const drawn = fc.record({ plan: window, bucketDays: fc.integer({ min: 1, max: 90 }) });
    const refusal = (plan: WindowPlan, bucketDays: number): string | undefined => {
      const names = { keep: "keep", base: "base", retention: "retention" };
      try {
        provePointInTime(plan, { bucketDays, baseSchedule: "0 2 * * 0", names });
        return undefined;
      } catch (error) {
        assert.equal((error as Error).name, "Problem");
        return (error as Error).message;
      }
    };
    fc.assert(
      fc.property(drawn, ({ plan, bucketDays }) => {
        const said = refusal(plan, bucketDays);
        assert.equal(said !== undefined, bucketDays < pointInTimeDays(plan));
        if (said === undefined) return;
        const figure = (pattern: RegExp) => Number(pattern.exec(said)?.[1] ?? Number.NaN);
        const days = figure(/keep backups at least (\d+) day/);
        assert.equal(refusal(plan, days), undefined);
        assert.notEqual(refusal(plan, days - 1), undefined);
        const keepDays = figure(/set keep to at most (\d+)d/);
        if (Number.isNaN(keepDays)) {
          assert.notEqual(refusal({ ...plan, keepDays: 1 }, bucketDays), undefined);
        } else {
          assert.equal(refusal({ ...plan, keepDays }, bucketDays), undefined);
          assert.notEqual(refusal({ ...plan, keepDays: keepDays + 1 }, bucketDays), undefined);
        }
        const [, amount = "", unit = ""] = /at least every (\d+) (day|hour)/.exec(said) ?? [];
        if (amount === "") return;
        const baseGapHours = Number(amount) * (unit === "day" ? HOURS : 1);
        assert.equal(refusal({ ...plan, baseGapHours }, bucketDays), undefined);
      }),
      { numRuns: 500 },
    );
  });
});

it("fourteen days with a weekly base need twenty-nine", () => {
  assert.equal(pointInTimeDays({ keepDays: 14, baseGapHours: 168 }), 29);
  assert.equal(pointInTimeDays({ keepDays: 7, baseGapHours: 24 }), 10);
});
