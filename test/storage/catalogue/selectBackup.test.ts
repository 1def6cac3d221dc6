import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CatalogueEntry } from "../../../storage/catalogue/catalogueEntry.ts";
import { chooseBackup, notAfter } from "../../../storage/catalogue/selectBackup.ts";
import { backupEntry as entry } from "../../support/manifest.ts";

const problem = (message: RegExp) => (error: Error) => {
  assert.equal(error.name, "Problem", error.stack);
  assert.match(error.message, message);
  return true;
};

describe("chooseBackup", () => {
  const entries = [
    entry("2026-11-24T03:15:02", { manifestKey: null }),
    entry("2026-11-23T03:15:02"),
    entry("2026-11-22T03:15:02", { kind: "legacy", manifestKey: null, key: "backup/app.dump" }),
    entry("2026-11-22T03:15:02"),
    entry("2026-11-21T03:15:02"),
    entry("2026-11-20T03:15:02"),
  ];
  const choose = (wanted: string, from = entries) =>
    chooseBackup(from, wanted, "app", "s3://b/backup");

  it("takes the newest complete one as latest", () => {
    assert.equal(choose("latest"), entries[1]);
    assert.equal(choose("latest", entries.toReversed()), entries[1]);
  });

  it("takes the named one, with or without Z, ours before an old one", () => {
    assert.equal(choose("2026-11-21T03:15:02"), entries[4]);
    assert.equal(choose("2026-11-22T03:15:02Z"), entries[3]);
  });

  it("takes a day for the time that it had, which two backups may share", () => {
    assert.equal(choose("2026-11-22"), choose("2026-11-22T03:15:02"));
  });

  it("refuses with what is there instead", () => {
    const refusals: [string, CatalogueEntry[], RegExp][] = [
      ["latest", [], /^no backup of app in s3:\/\/b\/backup\. Take one/],
      ["latest", entries.slice(0, 1), /\(1 without a manifest are incomplete\)/],
      ["2026-11-24T03:15:02", entries, /2026-11-24T03:15:02\.dump\.zst is incomplete/],
      [
        "2026-11-22T03:00:00",
        entries,
        /no backup of app from 2026-11-22T03:00:00.*nearest are 2026-11-22T03:15:02, 2026-11-21T03:15:02, 2026-11-23T03:15:02\./,
      ],
      ["2026-11-22T03:00:00", [], /There is none at all/],
      ["yesterday", entries, /"yesterday" is no time of a backup/],
      ["2026-10-01", entries, /no backup of app from 2026-10-01 .*nearest are 2026-11-/],
      ["2026-11", entries, /is no time of a backup/],
    ];
    for (const [wanted, from, message] of refusals) {
      assert.throws(() => choose(wanted, from), problem(message));
    }
  });
});

describe("chooseBackup, of suspect backups,", () => {
  const suspect = entry("2026-11-24T03:15:02", { suspect: true });
  const good = entry("2026-11-23T03:15:02");

  it("takes none as latest, and each by its own time", () => {
    assert.equal(chooseBackup([suspect, good], "latest", "app", "here"), good);
    assert.equal(chooseBackup([suspect, good], "2026-11-24T03:15:02", "app", "here"), suspect);
  });

  it("says how many there are when nothing else is left", () => {
    const half = entry("2026-11-22T03:15:02", { manifestKey: null });
    assert.throws(
      () => chooseBackup([suspect, half], "latest", "app", "here"),
      problem(
        /here \(1 without a manifest are incomplete\) \(1 are suspect, to be chosen by their/,
      ),
    );
  });
});

describe("notAfter", () => {
  const entries = ["2026-11-24T03:15:02", "2026-11-23T03:15:02", "2026-11-22T03:15:02"].map(
    (stamp) => entry(stamp),
  );
  const rows: readonly [time: string, count: number][] = [
    ["2026-11-24T03:15:02", 3],
    ["2026-11-24T03:15:02Z", 3],
    ["2026-11-24T03:15:01", 2],
    ["2026-11-24T03:15", 2],
    ["2026-11-24 03:16", 3],
    ["2026-11-24T04:15:02+01:00", 3],
    ["2026-11-24T04:15:01+01:00", 2],
    ["2026-11-23T22:15:02-05:00", 3],
    ["2026-11-22T03:15:02", 1],
  ];
  for (const [time, count] of rows) {
    it(`${time}: ${count} of them`, () => {
      assert.deepEqual(notAfter(entries, time, "here"), entries.slice(-count));
    });
  }

  it("leaves an empty list to whoever chooses from it", () => {
    assert.deepEqual(notAfter([], "2026-11-22T03:15:02", "here"), []);
  });

  it("says how old the oldest is when none is old enough", () => {
    assert.throws(
      () => notAfter(entries, "2026-11-22T03:15:01", "s3://b/backup"),
      problem(
        /^no backup in s3:\/\/b\/backup is as old as .*: the oldest is of 2026-11-22T03:15:02/,
      ),
    );
  });

  for (const time of ["yesterday", "2026-11-24", "24.11.2026 03:15", "2026-11-31T25:00", ""]) {
    it(`"${time}" is no time`, () => {
      assert.throws(() => notAfter(entries, time, "here"), problem(/^--not-after .* is no time/));
    });
  }
});
