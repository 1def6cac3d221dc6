import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { firstDay, rowsSince } from "../../../cli/drill/evidence.ts";
import { type EvidenceRow, toCsv } from "../../../cli/drill/evidenceRows.ts";
import {
  parseSigningKeys,
  signatureOf,
  signManifest,
} from "../../../common/contracts/manifestMac.ts";
import type { RestoreRecord } from "../../../common/contracts/restoreRecord.ts";
import { storeDrillRecord } from "../../../storage/catalogue/drillRecords.ts";
import { NO_TRUST } from "../../../storage/catalogue/judgeOrigin.ts";
import { markMac } from "../../../storage/catalogue/marks.ts";
import {
  dumpKey,
  manifestKey,
  recordKey,
  verifiedKey,
} from "../../../storage/catalogue/objectKeys.ts";
import { backupManifest, drillRecord } from "../../support/manifest.ts";
import { MemoryStore } from "../../support/memoryStore.ts";

const keys = parseSigningKeys(Buffer.alloc(32, 1).toString("base64url"), "SIGNING_KEYS");
const plain = { compression: "zstd", encryption: "none" } as const;
const trust = { ...NO_TRUST, keys };

function backUp(store: MemoryStore, stamp: string, change: (text: string) => string = (t) => t) {
  const key = dumpKey("backup", "app", stamp, plain);
  const tables = [{ schema: "public", name: "t", rows: 5, exact: true }];
  const object = { key, bytes: 1, sha256: "0".repeat(64) };
  const manifest = backupManifest({ takenAt: `${stamp}Z`, object, tables });
  store.set(key, "x");
  store.set(
    manifestKey("backup", "app", stamp),
    change(JSON.stringify(signManifest(manifest, keys))),
  );
  return key;
}

async function world(): Promise<MemoryStore> {
  const store = new MemoryStore();
  backUp(store, "2025-12-31T03:00:00");
  const dump = backUp(store, "2026-01-01T03:00:00");
  const mac = markMac({ kind: "verified", dump }, keys);
  store.set(
    verifiedKey("backup", "app", "2026-01-01T03:00:00", null, mac),
    JSON.stringify({ at: "2026-01-01T03:00:09.000Z" }),
  );
  backUp(store, "2026-01-02T03:00:00", (text) => text.replace('"rows":5', '"rows":6'));
  const drill = drillRecord({
    startedAt: "2026-01-03T04:00:00.000Z",
    backup: { stamp: "2026-01-01T03:00:00", key: dump },
    rtoMs: 60_000,
    totalMs: 5_000,
  });
  await storeDrillRecord(store, drill, keys);
  await storeDrillRecord(store, { ...drill, database: "other" }, keys);
  await storeDrillRecord(store, { ...drill, startedAt: "2025-12-31T04:00:00.000Z" }, keys);
  const record: RestoreRecord = {
    version: 1,
    action: "restore",
    database: "app",
    result: "failed",
    from: "2026-01-01T03:00:00",
    previous: null,
    error: "no disk.",
    startedAt: "2026-01-04T05:00:00.000Z",
    elapsedMs: 7_000,
  };
  store.set(
    recordKey("backup", record),
    JSON.stringify({ ...record, mac: signatureOf(record, keys, "restore record") }),
  );
  return store;
}

const since = "2026-01-01T00:00:00.000Z";
const short = ({ what, at, result, signature }: EvidenceRow) =>
  [what, at.slice(0, 10), result, signature].join(" ");

describe("evidence", () => {
  it("has backups, verifications, drills and restores since a day, with what each signature is worth", async () => {
    const rows = await rowsSince(await world(), { names: ["app"], since, trust });
    assert.deepEqual(rows.map(short), [
      "backup 2026-01-01 verified signed",
      "verification 2026-01-01 read to its end signed",
      "backup 2026-01-02 wrongly signed wrong",
      "drill 2026-01-03 passed signed",
      "restore 2026-01-04 failed signed",
    ]);
    assert.deepEqual(
      rows.map(({ detail }) => detail),
      [
        `1 bytes, 1 tables, 5 rows, sha256 ${"0".repeat(64)}, not encrypted`,
        "",
        `1 bytes, 1 tables, 6 rows, sha256 ${"0".repeat(64)}, not encrypted`,
        "1 tables and 1 rows equal to the backup, 5 s of 60 s allowed",
        "7 s, no disk.",
      ],
    );
  });

  it("says that nothing was checked where no key is known", async () => {
    const rows = await rowsSince(await world(), { names: ["app"], since, trust: NO_TRUST });
    assert.deepEqual(new Set(rows.map(({ signature }) => signature)), new Set(["not checked"]));
  });

  it("leaves out no drill because another database has drilled more, and names none of another", async () => {
    const store = await world();
    const rows = await rowsSince(store, { names: ["other"], since, trust });
    assert.deepEqual(rows.map(short), [
      "drill 2026-01-03 passed signed",
      "restore 2026-01-04 failed signed",
    ]);
  });
});

describe("evidence as CSV", () => {
  const row: EvidenceRow = {
    what: "backup",
    at: "2026-01-01T03:00:00Z",
    database: "app",
    backup: "2026-01-01T03:00:00",
    result: "complete",
    signature: "signed",
    detail: 'a "quote", and\na line',
    object: "backup/x",
  };

  it("quotes what has commas, quotes and lines, and has a line of names", () => {
    assert.equal(
      toCsv([row]),
      "what,at,database,backup,result,signature,detail,object\r\n" +
        'backup,2026-01-01T03:00:00Z,app,2026-01-01T03:00:00,complete,signed,"a ""quote"", and\na line",backup/x\r\n',
    );
  });

  for (const name of ["=1+1", "+1", "-1", "@x", "\t=1"]) {
    it(`is no formula: ${JSON.stringify(name)}`, () => {
      const [, line = ""] = toCsv([{ ...row, database: name, detail: "" }]).split("\r\n");
      assert.equal(line.split(",")[2], `'${name}`);
    });
  }
});

describe("the first day", () => {
  it("is a day of the calendar: another one would leave days out", () => {
    assert.equal(firstDay("2028-02-29"), "2028-02-29T00:00:00.000Z");
    for (const text of ["2026-02-29", "2026-02-31", "2026-13-01", "2026-1-1", "yesterday"]) {
      assert.throws(
        () => firstDay(text),
        new RegExp(`^Problem: --since ${text} must be a day, such as 2026-01-01\\.$`),
      );
    }
  });
});
