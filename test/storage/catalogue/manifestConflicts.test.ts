import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { listBackups } from "../../../storage/catalogue/catalogue.ts";
import { deleteBackup } from "../../../storage/catalogue/deleteBackup.ts";
import { dumpKey, manifestKey } from "../../../storage/catalogue/objectKeys.ts";
import { readManifest } from "../../../storage/catalogue/readManifest.ts";
import { chooseBackup } from "../../../storage/catalogue/selectBackup.ts";
import { backupManifest } from "../../support/manifest.ts";
import { MemoryStore, serviceError } from "../../support/memoryStore.ts";

const STAMP = "2026-11-24T03:15:02";
const plain = { compression: "pg_dump-zstd", encryption: "none" } as const;
const dump = dumpKey("backup", "app", STAMP, plain);
const beside = manifestKey("backup", "app", STAMP);
const doubt = manifestKey("backup", "app", STAMP, "suspect");
const manifest = backupManifest({
  takenAt: `${STAMP}Z`,
  object: { key: dump, bytes: 3, sha256: "0".repeat(64) },
  compression: "pg_dump-zstd",
});

function storeWith(doubtful?: string): MemoryStore {
  const store = new MemoryStore();
  store.set(dump, "abc");
  store.set(beside, JSON.stringify(manifest));
  if (doubtful !== undefined) store.set(doubt, doubtful);
  return store;
}

const only = async (store: MemoryStore) => {
  const [entry, ...others] = await listBackups(store, "app");
  assert.ok(entry);
  assert.deepEqual(others, []);
  return entry;
};

describe("a manifest under suspect/ beside a good one", () => {
  const other = { ...manifest, suspect: "it is damaged" };
  const rows: [what: string, text: string][] = [
    ["is no JSON", "x"],
    ["is empty", ""],
    ["lacks what a manifest has", "{}"],
    ["does not call itself suspect", JSON.stringify(manifest)],
    ["is of another database", JSON.stringify({ ...other, database: "b" })],
    ["is of another time", JSON.stringify({ ...other, takenAt: "2026-11-24T03:15:03Z" })],
    ["names another key", JSON.stringify({ ...other, object: { ...other.object, key: "k" } })],
    ["names another size", JSON.stringify({ ...other, object: { ...other.object, bytes: 4 } })],
    [
      "names another SHA-256",
      JSON.stringify({ ...other, object: { ...other.object, sha256: "f".repeat(64) } }),
    ],
  ];
  for (const [what, text] of rows) {
    it(`has no force when it ${what}: the backup counts, with a notice`, async () => {
      const entry = await only(storeWith(text));
      assert.equal(entry.suspect, false);
      assert.match(entry.notice ?? "", /^backup\/suspect\/app_.* has no force: /);
      assert.equal(chooseBackup([entry], "latest", "app", "here"), entry);
    });
  }

  it("takes the backup out of latest when it is of the same object, and never out of reach", async () => {
    const store = storeWith(JSON.stringify({ ...other, tables: [] }));
    const entry = await only(store);
    assert.deepEqual([entry.suspect, entry.suspectReason], [true, "it is damaged"]);
    assert.throws(() => chooseBackup([entry], "latest", "app", "here"), /1 are suspect/);
    assert.equal(chooseBackup([entry], STAMP, "app", "here"), entry);
    // What the restore is compared with stays what the backup itself said.
    assert.deepEqual(await readManifest(store, entry), manifest);
    await deleteBackup(store, entry);
    assert.deepEqual(store.keys, []);
  });

  it("that the service refuses to give has no force beside one that it gives", async () => {
    for (const error of [
      serviceError("InvalidObjectState", 403),
      serviceError("InvalidRequest", 400),
      serviceError("AccessDenied", 403),
    ]) {
      const store = storeWith(JSON.stringify(other));
      store.fail("get", (key) => (key === doubt ? error : undefined));
      assert.equal((await only(store)).suspect, false);
    }
  });

  it("that nobody may read leaves the backup suspect; a service that does not answer is a failure", async () => {
    const store = storeWith(JSON.stringify(other));
    assert.equal((await only(store.deny("get"))).suspect, true);
    store.fail("get", serviceError("SlowDown", 503));
    await assert.rejects(listBackups(store, "app"), /overloaded/);
  });

  it("that the service does not give for now leaves that backup out, for whoever can do without it", async () => {
    const store = storeWith(JSON.stringify(other));
    const later = dumpKey("backup", "app", "2026-11-25T03:15:02", plain);
    store.set(later, "abc");
    const unread: string[] = [];
    for (const key of [doubt, beside]) {
      const slow = serviceError("SlowDown", 503);
      store.fail("get", (asked) => (asked === key ? slow : undefined));
      const entries = await listBackups(store, "app", ({ stamp }, reason) =>
        unread.push(`${stamp} ${reason}`),
      );
      assert.deepEqual(
        entries.map((entry) => entry.key),
        [later],
      );
    }
    assert.equal(unread.length, 2);
    assert.match(unread[0] ?? "", /^2026-11-24T03:15:02 .*suspect\/app.*overloaded/);
  });
});

it("a dump put beside another one under the same stamp does not take its manifest", async () => {
  for (const treatment of [
    { compression: "zstd", encryption: "none" },
    { compression: "pg_dump-zstd", encryption: "age" },
  ] as const) {
    const store = storeWith();
    const added = dumpKey("backup", "app", STAMP, treatment);
    store.set(added, "abc");
    const entries = await listBackups(store, "app");
    assert.deepEqual(
      entries.map(({ key, manifestKey: own }) => [key, own]),
      [
        [dump, beside],
        [added, null],
      ],
    );
    assert.equal(chooseBackup(entries, "latest", "app", "here").key, dump);
    assert.equal(chooseBackup(entries, STAMP, "app", "here").key, dump);
  }
});
