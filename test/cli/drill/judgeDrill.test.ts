import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  couldNotRun,
  recipientAmong,
  recordOf,
  requireLater,
} from "../../../cli/drill/judgeDrill.ts";
import {
  formatRecipient,
  generateIdentity,
  parseIdentity,
  publicKeyOf,
} from "../../../common/age/keys.ts";
import type { DrilledEvent } from "../../../common/contracts/agentEvents.ts";
import { drillRecordSchema } from "../../../common/contracts/drillRecord.ts";
import { Problem } from "../../../common/problem.ts";
import { entryOf } from "../support/factories.ts";

const drilled: DrilledEvent = {
  event: "drilled",
  database: "shop_production",
  from: "2026-11-24T03:15:02",
  verdict: "passed",
  reason: null,
  readMs: 9_000,
  loadMs: 24_000,
  totalMs: 52_000,
  tables: 31,
  rows: 18_204_117,
  compared: true,
  checks: [],
  serverMajor: 17,
  notRestored: [],
  masked: 0,
};
const failedCheck = { name: "a", line: 1, passed: false, rows: 2, error: null };
const planned = {
  entry: entryOf("2026-11-24T03:15:02"),
  startedAt: new Date("2026-11-30T04:00:00.000Z"),
  rtoMs: 600_000,
  upgradeTo: undefined,
  backupMajor: 17,
  openedWith: "age1x",
};

describe("the record of a drill", () => {
  it("has what was found, what is declared, and the key that has opened it", () => {
    const record = recordOf(planned, drilled);
    assert.deepEqual(drillRecordSchema.parse(record), record);
    const { database, backup, verdict, rtoMs, rtoMet, openedWith, where } = record;
    assert.deepEqual(
      { database, backup, verdict, rtoMs, rtoMet, openedWith, where },
      {
        database: "shop_production",
        backup: {
          stamp: "2026-11-24T03:15:02",
          key: "shop/production/shop_production_2026-11-24T03:15:02.dump.zst",
        },
        verdict: "passed",
        rtoMs: 600_000,
        rtoMet: true,
        openedWith: "age1x",
        where: "here",
      },
    );
    assert.ok(!("notRestored" in record) && !("event" in record));
  });

  const rows: readonly [
    what: string,
    over: Partial<DrilledEvent>,
    rtoMs: number | undefined,
    expected: [verdict: string, met: boolean | null, reason: string | null],
  ][] = [
    ["within the RTO, to the millisecond", {}, 52_000, ["passed", true, null]],
    [
      "over the RTO",
      {},
      51_999,
      ["failed", false, "the restore took 52 s, and the declared RTO is 52 s."],
    ],
    ["without an RTO", {}, undefined, ["passed", null, null]],
    [
      "a check and the RTO",
      { verdict: "failed", reason: "1 of 1 checks did not pass.", checks: [failedCheck] },
      30_000,
      [
        "failed",
        false,
        "1 of 1 checks did not pass. Besides, the restore took 52 s, and the declared RTO is 30 s.",
      ],
    ],
    [
      "a backup at fault, whose time says nothing",
      { verdict: "failed", reason: "it is damaged." },
      1,
      ["failed", null, "it is damaged."],
    ],
    [
      "one that could not run, whose time says nothing",
      { verdict: "couldNotRun", reason: "no disk." },
      1,
      ["couldNotRun", null, "no disk."],
    ],
  ];
  for (const [what, over, rtoMs, expected] of rows) {
    it(`is judged: ${what}`, () => {
      const record = recordOf({ ...planned, rtoMs }, { ...drilled, ...over });
      assert.deepEqual([record.verdict, record.rtoMet, record.reason], expected);
    });
  }

  it("is a rehearsal of an upgrade where the server had another version, asked for or not", () => {
    const on18 = { ...drilled, serverMajor: 18 };
    assert.equal(recordOf({ ...planned, upgradeTo: 18 }, on18).upgradeTo, 18);
    assert.equal(recordOf(planned, on18).upgradeTo, 18);
    assert.equal(recordOf(planned, drilled).upgradeTo, null);
    assert.equal(recordOf({ ...planned, backupMajor: undefined }, drilled).upgradeTo, null);
  });

  it("does not call an upgrade rehearsed that the server's version was not", () => {
    const record = recordOf({ ...planned, upgradeTo: 18 }, drilled);
    assert.deepEqual(drillRecordSchema.parse(record), record);
    const { verdict, reason, compared, rtoMet, serverMajor } = record;
    assert.deepEqual([verdict, compared, rtoMet, serverMajor], ["couldNotRun", false, null, 17]);
    assert.equal(
      reason,
      "--upgrade-to asks for PostgreSQL 18, and the server of --image is PostgreSQL 17. Name an image of PostgreSQL 18, or leave --image out.",
    );
  });

  it("refuses an upgrade to a version that is not later than the backup's", () => {
    requireLater(18, 17);
    requireLater(undefined, 17);
    requireLater(18, undefined);
    for (const upgradeTo of [16, 17]) {
      assert.throws(
        () => requireLater(upgradeTo, 17),
        new Problem(
          `--upgrade-to ${upgradeTo} must be later than PostgreSQL 17, from which the backup is. Leave it out to drill the backup's own version.`,
        ),
      );
    }
  });

  it("names no key where nothing was opened", () => {
    assert.equal(recordOf(planned, { ...drilled, loadMs: null }).openedWith, null);
    const record = couldNotRun(planned, "Docker does not run.");
    assert.deepEqual(drillRecordSchema.parse(record), record);
    assert.deepEqual([record.verdict, record.openedWith], ["couldNotRun", null]);
  });
});

describe("the identity of a backup", () => {
  it("is found among several, or is none of them", () => {
    const [own, other] = [generateIdentity(), generateIdentity()];
    const recipient = formatRecipient(publicKeyOf(parseIdentity(own)));
    const manifest = { recipients: ["age1other", recipient] };
    assert.equal(recipientAmong(manifest, [other, own]), recipient);
    assert.equal(recipientAmong(manifest, [other]), null);
  });
});
