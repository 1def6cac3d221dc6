import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CatalogueEntry } from "../../../storage/catalogue/catalogueEntry.ts";
import {
  chooseBackup,
  chooseBeforeDeploy,
  notAfter,
} from "../../../storage/catalogue/selectBackup.ts";
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
      ["2026-10-01", entries.slice(1, 2), /\. The nearest is 2026-11-\S+\.$/],
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

  for (const time of [
    "yesterday",
    "2026-11-24",
    "24.11.2026 03:15",
    "2026-11-31T25:00",
    "2026-02-30T00:00",
    "2026-11-31 03:15Z",
    "",
  ]) {
    it(`"${time}" is no time`, () => {
      assert.throws(() => notAfter(entries, time, "here"), problem(/^--not-after .* is no time/));
    });
  }
});

describe("chooseBeforeDeploy", () => {
  const before = (stamp: string, ...revisions: string[]) =>
    entry(stamp, { deploys: revisions.map((revision) => ({ revision, key: revision })) });
  const entries = [
    entry("2026-11-25T03:15:02"),
    before("2026-11-24T09:00:00", "1f2e3d4c", "1f2e3d4c_uncommitted_77"),
    before("2026-11-23T09:00:00", "1f2eaaaa", "v2"),
    before("2026-11-22T09:00:00", "v2"),
    before("2026-11-21T09:00:00", "v21"),
  ];
  const choose = (revision: string, from = entries) =>
    chooseBeforeDeploy(from, revision, "app", "s3://b/backup").stamp;

  it("finds the backup by the revision, or its beginning", () => {
    assert.equal(choose("1f2e3d4c"), "2026-11-24T09:00:00", "exactly, though another begins so");
    assert.equal(choose("1f2ea"), "2026-11-23T09:00:00");
    assert.equal(choose("v21"), "2026-11-21T09:00:00");
  });

  const refusals: readonly [revision: string, message: RegExp][] = [
    ["1f2e", /1f2e is the beginning of several revisions: 1f2e3d4c \(backup of 2026-11-24T09/],
    [
      "v2",
      /v2 was deployed 2 times, with backups of 2026-11-23T09:00:00, 2026-11-22T09:00:00\. Give one/,
    ],
    [
      "77",
      /no backup of app in s3:\/\/b\/backup was taken before a deploy of 77\. The last deploys are 1f2e3d4c \(/,
    ],
    ["HEAD~1", /--before-deploy HEAD~1 is no revision/],
    ["", /is no revision/],
  ];
  for (const [revision, message] of refusals) {
    it(`"${revision}" is refused`, () => {
      assert.throws(() => choose(revision), problem(message));
    });
  }

  it("says how deploys are marked where none is", () => {
    assert.throws(
      () => choose("v2", entries.slice(0, 1)),
      problem(/None is marked .*beforeDeploy/),
    );
  });

  it("goes by signed marks, and by the time where a mark is not signed", () => {
    const unsigned = (stamp: string, revision: string) =>
      entry(stamp, { deploys: [{ revision, key: revision, unsigned: true }] });
    const planted = [unsigned("2026-11-20T09:00:00", "v2"), unsigned("2026-11-19T09:00:00", "v9")];
    const [, , signed] = entries;
    assert.ok(signed);
    assert.equal(choose("v2", [...planted, signed]), signed.stamp);
    assert.throws(
      () => choose("v9", [...planted, signed]),
      problem(
        /^--before-deploy v9: the mark v9 \(backup of 2026-11-19T09:00:00\) is not signed .*give 2026-11-19T09:00:00 in the place of --before-deploy v9\.$/,
      ),
    );
  });

  it("takes no half of a backup", () => {
    const half = [entry("2026-11-24T09:00:00", { ...before("", "v3"), manifestKey: null })];
    assert.throws(() => choose("v3", half), problem(/no backup of app/));
  });
});
