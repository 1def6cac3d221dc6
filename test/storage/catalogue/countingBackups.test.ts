import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CatalogueEntry } from "../../../storage/catalogue/catalogueEntry.ts";
import {
  aheadOfTimeNotice,
  countingBackups,
  isAheadOfTime,
  passedOver,
} from "../../../storage/catalogue/countingBackups.ts";
import { chooseBackup } from "../../../storage/catalogue/selectBackup.ts";
import { backupEntry } from "../../support/manifest.ts";

/** Stored in the same second, unless it is said otherwise. */
const entry = (stamp: string, over: Partial<CatalogueEntry> = {}) =>
  backupEntry(stamp, { storedAt: `${stamp}.900Z`, ...over });
const legacy = (stamp: string, over: Partial<CatalogueEntry> = {}) =>
  entry(stamp, { kind: "legacy", manifestKey: null, key: `backup/app_${stamp}.dump`, ...over });

describe("a stamp ahead of time", () => {
  const rows: [what: string, entry: CatalogueEntry, ahead: boolean][] = [
    ["by an hour", entry("2026-11-28T19:05:54", { storedAt: "2026-11-28T18:05:54.000Z" }), true],
    ["by 400 days", entry("2028-01-02T18:05:54", { storedAt: "2026-11-28T18:05:54.000Z" }), true],
    ["by 5 minutes", entry("2026-11-28T18:10:54", { storedAt: "2026-11-28T18:05:54.000Z" }), false],
    ["by a second more", entry("2026-11-28T18:10:55", { storedAt: "2026-11-28T18:05:54Z" }), true],
    ["not: it was copied later", entry("2026-01-01T00:00:00", { storedAt: "2026-11-28Z" }), false],
    ["as no time at all", entry("2026-13-45T99:99:99", { storedAt: "2026-11-28Z" }), true],
    // The old image's have no zone: the local time of UTC+14 is the furthest ahead.
    [
      "not: in local time",
      legacy("2026-11-29T08:05:54", { storedAt: "2026-11-28T18:05:54Z" }),
      false,
    ],
    ["of the old image", legacy("2098-01-01T00:00:00", { storedAt: "2026-11-28T18:05:54Z" }), true],
  ];
  for (const [what, one, ahead] of rows) {
    it(what, () => {
      assert.equal(isAheadOfTime(one), ahead);
      assert.deepEqual(countingBackups([one]), ahead ? [] : [one]);
    });
  }

  it("is never latest, is named as passed over, and can be chosen by its time", () => {
    const ahead = entry("2026-11-28T19:05:54", { storedAt: "2026-11-28T18:05:54.000Z" });
    const now = entry("2026-11-28T18:05:56", { storedAt: "2026-11-28T18:05:57.000Z" });
    const entries = [ahead, now];
    assert.equal(chooseBackup(entries, "latest", "app", "here"), now);
    assert.equal(chooseBackup(entries, ahead.stamp, "app", "here"), ahead);
    assert.deepEqual(passedOver(entries, now), [
      "passed over 2026-11-28T19:05:54 (stored 2026-11-28T18:05:54): its stamp is ahead of time, later than when it was stored. By its exact time it can be restored.",
    ]);
    assert.match(
      aheadOfTimeNotice(entries) ?? "",
      /^2026-11-28T19:05:54 \(stored .*does not count/,
    );
    assert.equal(aheadOfTimeNotice([now]), undefined);
    assert.throws(
      () => chooseBackup([ahead], "latest", "app", "here"),
      /no backup of app in here \(1 are ahead of time, to be chosen by their time only\)/,
    );
  });
});

describe("a backup of the old image", () => {
  const ours = entry("2026-11-24T03:15:02");

  it("is latest in no case while there is a good one of ours, whatever its stamp", () => {
    for (const stamp of ["2098-01-01T00:00:00", "2026-11-24T09:00:00", "2020-01-01T00:00:00"]) {
      const old = legacy(stamp);
      assert.deepEqual(countingBackups([old, ours]), [ours]);
      assert.equal(chooseBackup([old, ours], "latest", "app", "here"), ours);
      assert.equal(chooseBackup([old, ours], stamp, "app", "here"), old);
    }
    const before = legacy("2020-01-01T00:00:00");
    assert.throws(
      () =>
        chooseBackup([before, ours], "latest", "app", "here", undefined, "2021-01-01T00:00:00Z"),
      /no backup in here is as old as/,
    );
    assert.match(passedOver([legacy("2026-11-24T09:00:00"), ours], ours)[0] ?? "", /the old image/);
  });

  it("counts while there is none of ours, or none that does", () => {
    const old = legacy("2026-11-24T09:00:00");
    const rest = [
      entry("2026-11-25T00:00:00", { suspect: true }),
      entry("2026-11-26T00:00:00", { manifestKey: null }),
      entry("2099-01-01T00:00:00", { storedAt: "2026-11-26T00:00:00.000Z" }),
    ];
    assert.equal(chooseBackup([old], "latest", "app", "here"), old);
    assert.equal(chooseBackup([...rest, old], "latest", "app", "here"), old);
  });
});

it("of two with one stamp the one that was stored first is taken", () => {
  const stamp = "2026-11-24T03:15:02";
  const first = entry(stamp);
  const added = entry(stamp, { key: "backup/app_0.pgdump", storedAt: "2026-11-25T00:00:00.000Z" });
  assert.equal(chooseBackup([added, first], stamp, "app", "here"), first);
  assert.equal(chooseBackup([added, first], "latest", "app", "here"), first);
});
