import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { listBackups } from "../../../storage/catalogue/catalogue.ts";
import { type CatalogueEntry, isComplete } from "../../../storage/catalogue/catalogueEntry.ts";
import { deleteBackup } from "../../../storage/catalogue/deleteBackup.ts";
import {
  deployKey,
  dumpKey,
  globalsKey,
  indexKey,
  manifestKey,
  verifiedKey,
} from "../../../storage/catalogue/objectKeys.ts";
import { MemoryStore, serviceError } from "../../support/memoryStore.ts";

const stamp = "2026-11-24T03:15:02";
const plain = { compression: "pg_dump-zstd", encryption: "none" } as const;
/** In the order in which they are to go. */
const PARTS = [
  manifestKey("backup", "app", stamp),
  verifiedKey("backup", "app", stamp),
  verifiedKey("backup", "app", stamp, null, "1f".repeat(16)),
  deployKey("backup", "app", stamp, "1f2e3d4"),
  globalsKey("backup", "app", stamp, plain),
  indexKey(dumpKey("backup", "app", stamp, plain)),
  dumpKey("backup", "app", stamp, plain),
];
const OTHERS = [
  dumpKey("backup", "app_queue", stamp, plain),
  manifestKey("backup", "app_queue", stamp),
  dumpKey("backup", "app", "2026-11-23T03:15:02", plain),
].toSorted();

async function filled(parts = PARTS): Promise<{ store: MemoryStore; entry: CatalogueEntry }> {
  const store = new MemoryStore();
  for (const key of [...parts, ...OTHERS]) store.set(key);
  const entry = (await listBackups(store, "app")).find((one) => one.stamp === stamp);
  assert.ok(entry);
  store.requests.length = 0;
  return { store, entry };
}

describe("deleteBackup", () => {
  it("takes the manifest first, the dump last, and nothing of others", async () => {
    const { store, entry } = await filled();
    await deleteBackup(store, entry);
    assert.deepEqual(
      store.requests,
      PARTS.map((key) => `delete ${key}`),
    );
    assert.deepEqual(store.keys, OTHERS);
  });

  it("asks for no part that is not there", async () => {
    const { store, entry } = await filled(PARTS.slice(-1));
    await deleteBackup(store, entry);
    assert.deepEqual(store.requests, [`delete ${PARTS.at(-1)}`]);
  });

  for (const [i, key] of PARTS.entries()) {
    it(`cut short at ${key}: it no longer counts, and the next try finds the rest`, async () => {
      const { store, entry } = await filled();
      store.fail("delete", (one) => (one === key ? serviceError("SlowDown", 503) : undefined));
      await assert.rejects(deleteBackup(store, entry), (error: Error) => {
        assert.equal(error.name, "Problem");
        assert.ok(error.message.startsWith(`cannot delete ${key}: `), error.message);
        assert.equal((error.cause as Error).name, "SlowDown");
        return true;
      });
      assert.deepEqual(store.keys, [...PARTS.slice(i), ...OTHERS].toSorted());
      const left = (await listBackups(store, "app")).find((one) => one.stamp === stamp);
      assert.ok(left, "the dump is there, so that it is found");
      assert.equal(isComplete(left), i === 0);
      store.fail("delete", () => undefined);
      await deleteBackup(store, left);
      assert.deepEqual(store.keys, OTHERS);
    });
  }
});
