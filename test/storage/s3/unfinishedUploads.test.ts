import assert from "node:assert/strict";
import { test } from "node:test";
import { abortAbandoned, listUnfinished } from "../../../storage/upload/unfinishedUploads.ts";
import { MemoryStore } from "../../support/memoryStore.ts";

const DAY_MS = 86_400_000;

test("only uploads below the prefix count, and only those older than a day are aborted", async () => {
  const store = new MemoryStore();
  const { prefix } = store.address;
  for (const key of [`${prefix}/a`, `${prefix}x/b`, `${prefix}/c`]) await store.startUpload(key);
  const keys = async () => (await listUnfinished(store)).map(({ key }) => key).toSorted();
  assert.deepEqual(await keys(), [`${prefix}/a`, `${prefix}/c`]);
  assert.deepEqual(await abortAbandoned(store, new Date()), []);
  const aborted = await abortAbandoned(store, new Date(Date.now() + DAY_MS + 60_000));
  assert.equal(aborted.length, 2);
  assert.deepEqual(await keys(), []);
});
