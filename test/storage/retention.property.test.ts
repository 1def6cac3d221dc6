// tag: cloud

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { chooseTier } from "../../agent/backup/tiers.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import type { Tier } from "../../storage/catalogue/objectKeys.ts";
import type { RetentionPlan, RetentionRule } from "../../storage/planning/retentionForecast.ts";
import { proveRetention, rulesOf } from "../../storage/planning/retentionProof.ts";
import { backupEntry } from "../support/manifest.ts";

const DAY = 24;
const HOUR_MS = 3_600_000;

const rule = fc
  .record({
    longestGapHours: fc.integer({ min: 1, max: 1920 }).map((halves) => halves / 2),
    days: fc.integer({ min: 1, max: 100 }),
    gaps: fc.constantFrom<1 | 2>(1, 2),
  })
  .map((drawn): RetentionRule => {
    return { name: "backup", perDay: DAY / drawn.longestGapHours, ...drawn };
  });

function plan(changes: Partial<RetentionPlan>): RetentionPlan {
  return {
    schedule: "15 3 * * *",
    rules: [],
    noncurrentDays: 14,
    provider: "AWS",
    ...changes,
  };
}

function refusal(one: RetentionRule): string | undefined {
  try {
    proveRetention(plan({ rules: [one] }));
    return undefined;
  } catch (error) {
    assert.equal((error as Error).name, "Problem");
    return (error as Error).message;
  }
}

/** Whether a moment without any backup occurs, by walking through time: a run at each longest gap, every third failed or none. */
function hasHole({ longestGapHours: gap, days, gaps }: RetentionRule): boolean {
  const failed = (run: number) => gaps === 2 && run % 3 === 1;
  const runs = Array.from({ length: 50 }, (_, run) => run);
  return runs.some((now) => {
    // Just before the run after `now`, which fails or has not stored anything yet.
    const moment = (now + 1) * gap;
    return !runs.some((made) => made <= now && !failed(made) && made * gap + days * DAY >= moment);
  });
}

/** The highest number of backups that exist at once. @param made hours, ascending; each lives for `days` */
function mostAlive(made: readonly number[], days: number): number {
  let first = 0;
  let most = 0;
  for (const [last, at] of made.entries()) {
    while ((made[first] ?? 0) + days * DAY <= at) first++;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

describe("for any schedule and retention", () => {
  it("a plan is refused exactly when walking through time finds a moment without a backup", () => {
    fc.assert(
      fc.property(rule, (one) => {
        assert.equal(refusal(one) !== undefined, hasHole(one));
      }),
      { numRuns: 1_000 },
    );
  });

  it("the remedy is enough, and a day less is not", () => {
    fc.assert(
      fc.property(rule, (one) => {
        const said = refusal(one);
        fc.pre(said !== undefined);
        const days = Number(/keep at least (\d+) day/.exec(said)?.[1]);
        assert.equal(refusal({ ...one, days }), undefined);
        assert.notEqual(refusal({ ...one, days: days - 1 }), undefined);
      }),
      { numRuns: 500 },
    );
  });

  it("the count is what a simulation over days finds at the most", () => {
    const drawn = fc.record({
      gap: fc.integer({ min: 1, max: 60 }),
      days: fc.integer({ min: 5, max: 400 }),
      noncurrentDays: fc.integer({ min: 0, max: 30 }),
    });
    fc.assert(
      fc.property(drawn, ({ gap, days, noncurrentDays }) => {
        const rules = rulesOf({ longestGapHours: gap, perDay: DAY / gap }, days);
        const { restorable, objects } = proveRetention(plan({ rules, noncurrentDays }));
        const made = Array.from({ length: (500 * DAY) / gap }, (_, run) => run * gap);
        assert.equal(restorable, mostAlive(made, days));
        assert.equal(objects, 3 * mostAlive(made, days + noncurrentDays));
      }),
      // 24/17 * 85 is a little more than 120 in binary fractions.
      { numRuns: 500, examples: [[{ gap: 17, days: 85, noncurrentDays: 0 }]] },
    );
  });

  it("with tiers the count is near what the container's own choice of folders comes to", () => {
    const drawn = fc.record({
      gap: fc.integer({ min: 3, max: 30 }),
      daily: fc.integer({ min: 3, max: 21 }),
      weekly: fc.integer({ min: 22, max: 70 }),
      monthly: fc.integer({ min: 71, max: 400 }),
      start: fc.integer({ min: 0, max: 365 }),
    });
    fc.assert(
      fc.property(drawn, ({ gap, daily, weekly, monthly, start }) => {
        const rules = rulesOf({ longestGapHours: gap, perDay: DAY / gap }, daily, {
          weekly,
          monthly,
        });
        const { restorable } = proveRetention(plan({ rules, noncurrentDays: 0 }));
        const made = tiersOf(gap, start);
        const most =
          mostAlive(made.daily, daily) +
          mostAlive(made.weekly, weekly) +
          mostAlive(made.monthly, monthly);
        // A month has four or five weeks: weekly and monthly may be one off their average, and daily, which gets the rest, two.
        assert.ok(Math.abs(restorable - most) <= 4, `${restorable}, but ${most} were found`);
      }),
      { numRuns: 15 },
    );
  });

  it("longer retention never keeps less, and bytes are proportional to size", () => {
    const drawn = fc.record({
      gap: fc.integer({ min: 1, max: 48 }),
      days: fc.integer({ min: 5, max: 400 }),
      longer: fc.integer({ min: 1, max: 400 }),
      size: fc.integer({ min: 1, max: 1e9 }),
    });
    fc.assert(
      fc.property(drawn, ({ gap, days, longer, size }) => {
        const of = (d: number, backupBytes: number) => {
          const rules = rulesOf({ longestGapHours: gap, perDay: DAY / gap }, d);
          return proveRetention(plan({ rules, backupBytes }));
        };
        const base = of(days, size);
        const more = of(days + longer, size);
        assert.ok(more.restorable >= base.restorable && (more.bytes ?? 0) >= (base.bytes ?? 0));
        assert.equal(of(days, 2 * size).bytes, 2 * (base.bytes ?? Number.NaN));
      }),
    );
  });
});

/** When the backups of each tier are made, hours from the start, over two years. */
function tiersOf(gap: number, startDay: number): Record<Tier, number[]> {
  const start = Date.UTC(2026, 0, 1) + startDay * DAY * HOUR_MS;
  const made: Record<Tier, number[]> = { daily: [], weekly: [], monthly: [] };
  // Only those of the last weeks decide; the choice looks at all that it is given.
  let recent: CatalogueEntry[] = [];
  for (let hour = 0; hour < 730 * DAY; hour += gap) {
    const stamp = new Date(start + hour * HOUR_MS).toISOString().slice(0, 19);
    const tier = chooseTier(recent, stamp);
    made[tier].push(hour);
    if (tier !== "daily") {
      recent = [...recent.slice(-8), backupEntry(stamp, { tier })];
    }
  }
  return made;
}
