import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DrillRecord } from "../../../common/contracts/drillRecord.ts";
import { parseSigningKeys, type SigningKey } from "../../../common/contracts/manifestMac.ts";
import {
  LARGEST_DRILL_RECORD,
  readDrillRecords,
  storeDrillRecord,
} from "../../../storage/catalogue/drillRecords.ts";
import { drillKey, parseDrillKey } from "../../../storage/catalogue/objectKeys.ts";
import { isBelieved } from "../../../storage/catalogue/signedRecord.ts";
import { drillRecord } from "../../support/manifest.ts";
import { MemoryStore } from "../../support/memoryStore.ts";

const keyOf = (byte: number): SigningKey[] =>
  parseSigningKeys(Buffer.alloc(32, byte).toString("base64url"), "SIGNING_KEYS");
const [own, foreign] = [keyOf(1), keyOf(2)];
const at = (day: number, over: Partial<DrillRecord> = {}) =>
  drillRecord({ startedAt: `2026-11-${String(day).padStart(2, "0")}T03:00:00.123Z`, ...over });

describe("records of drills", () => {
  it("are listed newest first, of one database or of all", async () => {
    const store = new MemoryStore();
    const [first, other, last] = [at(1), at(2, { database: "a/b_c" }), at(3)];
    for (const record of [last, first, other]) await storeDrillRecord(store, record, []);
    const found = await readDrillRecords(store);
    assert.deepEqual(
      found.map(({ record }) => record),
      [last, other, first],
    );
    assert.deepEqual(
      (await readDrillRecords(store, { database: "a/b_c" })).map(({ record }) => record),
      [other],
    );
  });

  it("are read in a bounded number, which another database's cannot use up", async () => {
    const store = new MemoryStore();
    for (const record of [at(1), at(2), at(3)]) await storeDrillRecord(store, record, []);
    await storeDrillRecord(store, at(4, { database: "other" }), []);
    const found = await readDrillRecords(store, { most: 2 });
    assert.deepEqual(
      found.map(({ record: { startedAt, database } }) => `${startedAt.slice(8, 10)} ${database}`),
      ["04 other", "03 app", "02 app"],
    );
    assert.equal(store.requests.filter((request) => request.startsWith("get")).length, 3 + 4);
  });

  const signatures: readonly [
    what: string,
    signedWith: SigningKey[],
    worth: string,
    counts: boolean,
  ][] = [
    ["signed with the key", own, "signed", true],
    ["signed with another key", foreign, "unknown key", false],
    ["not signed", [], "unsigned", false],
  ];
  for (const [what, signedWith, worth, counts] of signatures) {
    it(`says of one that is ${what} what its signature is worth`, async () => {
      const store = new MemoryStore();
      await storeDrillRecord(store, at(1), signedWith);
      const [found] = await readDrillRecords(store, { keys: own });
      assert.ok(found);
      assert.deepEqual([found.signature, isBelieved(found)], [worth, counts]);
      const [unchecked] = await readDrillRecords(store);
      assert.ok(unchecked);
      assert.deepEqual([unchecked.signature, isBelieved(unchecked)], [null, true]);
    });
  }

  it("do not count where a failed drill was changed into one that passed", async () => {
    const store = new MemoryStore();
    const key = await storeDrillRecord(store, at(1, { verdict: "failed", reason: "no." }), own);
    store.set(key, store.text(key)?.replace('"failed"', '"passed"') ?? "");
    const [found] = await readDrillRecords(store, { keys: own });
    assert.ok(found);
    assert.deepEqual([found.record.verdict, found.signature], ["passed", "wrong"]);
    assert.equal(isBelieved(found), false);
  });

  it("are left out where they are none, are too long, or lie under another name than their own", async () => {
    const store = new MemoryStore();
    const good = await storeDrillRecord(store, at(1), own);
    store.set(drillKey("backup", at(2)), store.text(good) ?? "");
    store.set(drillKey("backup", at(3)), "no JSON");
    store.set(drillKey("backup", at(4)), JSON.stringify({ ...at(4), version: 2 }));
    const long = { ...at(5), padding: "x".repeat(LARGEST_DRILL_RECORD) };
    store.set(drillKey("backup", at(5)), JSON.stringify(long));
    store.set(drillKey("backup", { ...at(6), startedAt: "2999-01-01T00:00:00.000Z" }), "x");
    store.set(drillKey("backup", at(7)), JSON.stringify(at(7, { database: "half \ud800" })));
    store.set("backup/drills/notes.txt", "x");
    const found = await readDrillRecords(store, { keys: own });
    assert.deepEqual(
      found.map(({ key }) => key),
      [good],
    );
    assert.ok(
      !store.requests.some((request) => request.startsWith("get") && /2999|notes/.test(request)),
    );
  });

  it("count from a machine whose clock is some minutes ahead", async () => {
    const store = new MemoryStore();
    const ahead = (minutes: number) =>
      drillRecord({ startedAt: new Date(Date.now() + minutes * 60_000).toISOString() });
    const key = await storeDrillRecord(store, ahead(4), []);
    await storeDrillRecord(store, ahead(7), []);
    assert.deepEqual(
      (await readDrillRecords(store)).map((one) => one.key),
      [key],
    );
  });

  it("are not looked at without end", async () => {
    const store = new MemoryStore().crowd(() => drillKey("backup", at(1)));
    await assert.rejects(
      readDrillRecords(store),
      /more than 20000 objects lie in s3:\/\/memory\/backup\/drills\//,
    );
  });

  it("say who refused where the key may not list", async () => {
    const store = new MemoryStore().deny("list");
    await assert.rejects(readDrillRecords(store), /list the records of drills/);
  });
});

describe("the key of a record of a drill", () => {
  it("is read back to its database and its second, whatever the name", () => {
    for (const database of ["app", "a_2026-11-24T03:15:02.123", "a/b", "数据", "x.drill.json"]) {
      const key = drillKey("shop/production", at(1, { database }));
      assert.deepEqual(parseDrillKey("shop/production", key), {
        database,
        stamp: "2026-11-01T03:00:00",
      });
    }
    assert.equal(drillKey("backup", at(1)), "backup/drills/2026-11-01T03:00:00.123_app.drill.json");
  });

  for (const key of [
    "other/drills/2026-11-01T03:00:00.123_app.drill.json",
    "backup/drills/2026-13-01T03:00:00.123_app.drill.json",
    "backup/drills/2026-11-01T03:00:00.123_a%2fb.drill.json",
    "backup/drills/2026-11-01T03:00:00_app.drill.json",
    "backup/restores/2026-11-01T03:00:00.123_app.drill.json",
  ]) {
    it(`is none: ${key}`, () => assert.equal(parseDrillKey("backup", key), undefined));
  }
});
