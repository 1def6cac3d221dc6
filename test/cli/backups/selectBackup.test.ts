import assert from "node:assert/strict";
import { test } from "node:test";
import { selectBackup } from "../../../cli/backups/selectBackup.ts";
import { entryOf, outputs } from "../support/factories.ts";

const said: string[] = [];
const session = { backup: outputs, screen: { warn: (text: string) => said.push(text) } };
const newest = entryOf("2026-11-24T03:15:02");
const unfinished = entryOf("2026-11-24T09:00:00", { manifestKey: null, manifest: null });
const older = entryOf("2026-11-23T03:15:01");

test("a time is taken as the list shows it, and as machines write it", () => {
  const entries = [unfinished, newest, older];
  for (const wanted of ["2026-11-23 03:15:01", "2026-11-23T03:15:01", "2026-11-23T03:15:01Z"]) {
    assert.equal(selectBackup(session, entries, { wanted }), older);
  }
  assert.equal(selectBackup(session, entries, { wanted: "latest" }), newest);
});

test("what was passed over for the latest is said, with its reason; for one by its time nothing is", () => {
  const planted = entryOf("2026-11-24T03:15:03", { originProblem: "wrongly signed" });
  const ahead = entryOf("2099-01-01T00:00:00", { storedAt: "2026-11-24T03:20:00.000Z" });
  const entries = [ahead, planted, newest, older];
  said.length = 0;
  assert.equal(selectBackup(session, entries, { wanted: "2026-11-24T03:15:02" }), newest);
  assert.deepEqual(said, []);
  assert.equal(selectBackup(session, entries, { wanted: "latest" }), newest);
  assert.match(said.join("\n"), /passed over 2099-01-01T00:00:00 \(stored .*ahead of time/);
  assert.match(
    said.join("\n"),
    /passed over 2026-11-24T03:15:03: its signature is wrong.* restored with --accept-origin\./,
  );
});

test("a day is enough where it has one backup; else its times are the choice", () => {
  const twice = entryOf("2026-11-24T21:15:02");
  const entries = [unfinished, newest, older, twice];
  assert.equal(selectBackup(session, entries, { wanted: "2026-11-23" }), older);
  assert.equal(selectBackup(session, [unfinished, newest], { wanted: "2026-11-24" }), newest);
  const rows: [string, RegExp][] = [
    [
      "2026-11-24",
      /on 2026-11-24 there are 2 backups .*: 2026-11-24T21:15:02, 2026-11-24T03:15:02\.$/,
    ],
    [
      "2026-11-22",
      /no backup of shop_production from 2026-11-22 .*nearest are 2026-11-23T03:15:01, 20/,
    ],
    ["2026-11-2", /"2026-11-2" is no time of a backup/],
  ];
  for (const [wanted, message] of rows) {
    assert.throws(() => selectBackup(session, entries, { wanted }), { name: "Problem", message });
  }
});

test("a choice that cannot be restored is refused with a sentence", () => {
  const rows: [string, RegExp][] = [
    ["2026-11-24 09:00:00", /incomplete: its manifest is missing/],
    ["2026-11-22 00:00:00", /no backup of shop_production from 2026-11-22T00:00:00/],
    ["yesterday", /"yesterday" is no time of a backup/],
  ];
  for (const [wanted, message] of rows) {
    assert.throws(() => selectBackup(session, [unfinished, newest], { wanted }), {
      name: "Problem",
      message,
    });
  }
  assert.throws(() => selectBackup(session, [], { wanted: "latest" }), {
    message:
      /no backup of shop_production in s3:\/\/shop-backups-4f2a\/shop\/production\. .*check the bucket's prefix/,
  });
});
