import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { expiredBackups } from "../../../agent/backup/expiry.ts";
import { chooseTier } from "../../../agent/backup/tiers.ts";
import type { CatalogueEntry } from "../../../storage/catalogue/catalogueEntry.ts";
import { backupEntry as entry } from "../../support/manifest.ts";

const day = (n: number) => `2026-11-${String(n).padStart(2, "0")}T03:00:00`;

describe("what may be deleted", () => {
  const now = new Date("2026-11-24T12:00:00Z");
  const stamps = (entries: CatalogueEntry[], days: number, atLeast: number) =>
    expiredBackups(entries, { days, atLeast }, now).map(({ stamp }) => stamp);

  it("is what is older than the days, except the latest ones", () => {
    const all = [24, 20, 16, 12, 8].map((n) => entry(day(n)));
    assert.deepEqual(stamps(all, 7, 1), [day(16), day(12), day(8)]);
    assert.deepEqual(stamps(all, 7, 4), [day(8)]);
    assert.deepEqual(stamps(all, 7, 5), []);
    assert.deepEqual(stamps(all, 30, 1), []);
  });

  it("is nothing without a newer good one, however old", () => {
    const unfinished = { manifestKey: null };
    const suspect = { suspect: true };
    assert.deepEqual(stamps([entry(day(3), unfinished), entry(day(2), suspect)], 7, 1), []);
    const all = [
      entry(day(24), suspect),
      entry(day(4), unfinished),
      entry(day(3)),
      entry(day(2), unfinished),
      entry(day(1), suspect),
    ];
    assert.deepEqual(stamps(all, 7, 1), [day(2), day(1)]);
  });

  it("counts the old image's backups by the same rule", () => {
    const legacy = { kind: "legacy", manifestKey: null } as const;
    assert.deepEqual(stamps([entry(day(24)), entry(day(2), legacy)], 7, 1), [day(2)]);
    assert.deepEqual(stamps([entry(day(24)), entry(day(2), legacy)], 7, 2), []);
  });
});

describe("what was put there by somebody else", () => {
  const keep = { days: 30, atLeast: 1 };
  const now = new Date("2026-03-01T00:00:00Z");
  const at = (n: number) => `2026-01-0${n}T00:00:00`;
  const true3 = [3, 2, 1].map((n) => entry(at(n)));

  it("ahead of time makes no true one superfluous", () => {
    const ahead = entry("2099-01-01T00:00:00", { storedAt: "2026-02-28T00:00:00.000Z" });
    assert.deepEqual(
      expiredBackups([ahead, ...true3], keep, now).map(({ stamp }) => stamp),
      [at(2), at(1)],
    );
    assert.deepEqual(expiredBackups([ahead, entry(at(3))], keep, now), []);
  });

  it("in the old image's form makes no true one superfluous", () => {
    const old = { kind: "legacy", manifestKey: null } as const;
    const planted = [entry("2026-02-28T00:00:00", old), entry("2026-02-27T00:00:00", old)];
    assert.deepEqual(
      expiredBackups([...planted, ...true3], keep, now).map(({ stamp }) => stamp),
      [at(2), at(1)],
    );
  });
});

describe("the tier of a backup", () => {
  it("is monthly first, then one weekly each ISO week, then daily", () => {
    const entries: CatalogueEntry[] = [];
    const tiers: string[] = [];
    for (let at = Date.parse("2025-12-29T03:00:00Z"); entries.length < 40; at += 86_400_000) {
      const stamp = new Date(at).toISOString().slice(0, 19);
      const tier = chooseTier(entries, stamp);
      entries.unshift(entry(stamp, { tier }));
      if (tier !== "daily") tiers.push(`${stamp.slice(0, 10)} ${tier}`);
    }
    assert.deepEqual(tiers, [
      "2025-12-29 monthly",
      "2026-01-01 monthly",
      "2026-01-05 weekly",
      "2026-01-12 weekly",
      "2026-01-19 weekly",
      "2026-01-26 weekly",
      "2026-02-01 monthly",
      "2026-02-02 weekly",
    ]);
  });

  it("does not take a suspect, an unfinished or an untiered one for the month's first", () => {
    const earlier = day(23);
    for (const over of [
      { tier: "monthly", suspect: true },
      { tier: "monthly", manifestKey: null },
      { tier: null },
    ] as const) {
      assert.equal(chooseTier([entry(earlier, over)], day(24)), "monthly");
    }
  });
});
