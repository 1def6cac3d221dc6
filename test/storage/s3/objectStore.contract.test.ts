import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { isMissing, isTaken } from "../../../storage/s3/errors.ts";
import {
  type ListedObject,
  type ObjectStore,
  type ObjectVersion,
  readWhole,
} from "../../../storage/s3/objectStore.ts";
import { atVersion } from "../../../storage/s3/objectVersion.ts";
import { makeBucket, openBucket } from "../../support/bucket.ts";
import { MemoryStore } from "../../support/memoryStore.ts";
import { startStore, type TestStore } from "../../support/servers/store.ts";

const MiB = 1024 * 1024;
const text = (body: string) => Buffer.from(body);
async function listed(store: ObjectStore, prefix: string): Promise<ListedObject[]> {
  const all: ListedObject[] = [];
  for await (const object of store.list(prefix)) all.push(object);
  return all;
}
const keys = async (store: ObjectStore, prefix: string) =>
  (await listed(store, prefix)).map(({ key }) => key);
const put = (store: ObjectStore, key: string, body = "x") =>
  store.putNew(key, text(body), "text/plain");
const read = async (store: ObjectStore, key: string) =>
  (await readWhole(await store.get(key), MiB)).toString("utf8");

async function fill(store: ObjectStore, all: readonly string[]): Promise<void> {
  const queue = [...all];
  const work = async () => {
    for (let key = queue.pop(); key !== undefined; key = queue.pop()) await put(store, key);
  };
  await Promise.all(Array.from({ length: 12 }, work));
}

/** The same cases for each implementation: what the tests in memory rely on, the real service keeps. */
function keepsTheContract(open: (folder: string) => Promise<ObjectStore>): void {
  it("an empty bucket lists nothing", async () => {
    assert.deepEqual(await listed(await open("empty"), "empty/"), []);
  });

  it("an object is written, listed with its size and time, and read", async () => {
    const store = await open("written");
    const at = `${store.address.prefix}/`;
    await put(store, `${at}a`, "one");
    const [object, ...more] = await listed(store, at);
    assert.deepEqual([object?.key, object?.bytes, more.length], [`${at}a`, 3, 0]);
    assert.equal(new Date(object?.storedAt ?? "").toISOString(), object?.storedAt);
    assert.ok(Math.abs(Date.now() - Date.parse(object?.storedAt ?? "")) < 60_000);
    const body = await store.get(`${at}a`);
    assert.deepEqual([body.bytes, body.start], [3, undefined]);
    assert.equal((await readWhole(body, MiB)).toString("utf8"), "one");
    assert.equal((await store.head(`${at}a`)).bytes, 3);
  });

  it("an existing key is not written again, whatever the content", async () => {
    const store = await open("conflict");
    const at = `${store.address.prefix}/`;
    await put(store, `${at}a`, "one");
    for (const body of ["two", "one"]) await assert.rejects(put(store, `${at}a`, body), isTaken);
    assert.equal(await read(store, `${at}a`), "one");
  });

  it("more than 1,000 objects are listed whole, each once, in the order of their bytes", async () => {
    const store = await open("many");
    const at = `${store.address.prefix}/`;
    const all = Array.from({ length: 1_050 }, (_, i) => `${at}${String(i).padStart(4, "0")}`);
    await fill(store, [...all, "many-2/a", "many.txt"]);
    assert.deepEqual(await keys(store, at), all);
  });

  it("a prefix is the beginning of a key, not a folder", async () => {
    const store = await open("prefixes");
    const at = `${store.address.prefix}/`;
    const all = [`${at}app_1`, `${at}app_queue_1`, `${at}apple`, `${at}apps/below`];
    await fill(store, [...all, `${at}other`, `elsewhere/${at}app_1`]);
    assert.deepEqual((await keys(store, `${at}app`)).sort(), [...all].sort());
    assert.deepEqual(await keys(store, `${at}app_q`), [`${at}app_queue_1`]);
    assert.deepEqual(await keys(store, `${at}none`), []);
  });

  it("odd keys are kept as they are", async () => {
    const store = await open("odd");
    const at = `${store.address.prefix}/`;
    const all = [`${at}a b`, `${at}a%20b`, `${at}q"q`, `${at}it's+&=`, `${at}Zürich 🐘`];
    await fill(store, all);
    assert.deepEqual((await keys(store, at)).sort(), [...all].sort());
    for (const key of all) assert.equal(await read(store, key), "x");
  });

  it("a range begins and ends where it was asked to", async () => {
    const store = await open("ranges");
    const at = `${store.address.prefix}/`;
    await put(store, `${at}a`, "0123456789");
    const range = async (from: number, to?: number) => {
      const body = await store.getRange(`${at}a`, { from, ...(to !== undefined && { to }) });
      return [body.start, body.bytes, (await readWhole(body, MiB)).toString("utf8")];
    };
    assert.deepEqual(await range(0, 3), [0, 4, "0123"]);
    assert.deepEqual(await range(4, 4), [4, 1, "4"]);
    assert.deepEqual(await range(7), [7, 3, "789"]);
    assert.deepEqual(await range(8, 99), [8, 2, "89"], "less than asked, where the object ends");
    await assert.rejects(range(10), { name: "InvalidRange" });
  });

  it("a range of an object that is another by now is refused", async () => {
    const store = await open("changed");
    const at = `${store.address.prefix}/`;
    await put(store, `${at}a`, "0123456789");
    const first = await store.get(`${at}a`);
    first.stream.destroy();
    const ifMatch = first.etag ?? "";
    const rest = await store.getRange(`${at}a`, { from: 5, ifMatch });
    assert.deepEqual(
      [rest.etag, (await readWhole(rest, MiB)).toString("utf8")],
      [ifMatch, "56789"],
    );
    await store.delete(`${at}a`);
    await put(store, `${at}a`, "9876543210");
    await assert.rejects(store.getRange(`${at}a`, { from: 5, ifMatch }), isTaken);
  });

  it("without versioning an object has one version, which is read as the object is", async () => {
    const store = await open("versions");
    const at = `${store.address.prefix}/`;
    await put(store, `${at}a`, "one");
    await put(store, `${at}a2`, "another");
    const versions = async (key: string) => {
      const all: ObjectVersion[] = [];
      for await (const version of store.versions(key)) all.push(version);
      return all;
    };
    const [only, ...more] = await versions(`${at}a`);
    assert.deepEqual([only?.bytes, more.length], [3, 0]);
    assert.equal(new Date(only?.storedAt ?? "").toISOString(), only?.storedAt);
    const seen = atVersion(store, `${at}a`, only?.id ?? "");
    assert.equal(await read(seen, `${at}a`), "one");
    assert.equal(await read(seen, `${at}a2`), "another");
    assert.deepEqual(await versions(`${at}none`), []);
  });

  it("a missing object is reported as missing, however it is asked for; to delete it is no error", async () => {
    const store = await open("missing");
    const at = `${store.address.prefix}/`;
    await put(store, `${at}other`);
    await assert.rejects(store.get(`${at}a`), isMissing);
    await assert.rejects(store.head(`${at}a`), isMissing);
    await assert.rejects(store.getRange(`${at}a`, { from: 0 }), isMissing);
    await store.delete(`${at}a`);
    await store.delete(`${at}other`);
    await assert.rejects(store.get(`${at}other`), isMissing);
    assert.deepEqual(await keys(store, at), []);
  });

  it("parts become one object when the upload is completed, and nothing is seen before", async () => {
    const store = await open("parts");
    const at = `${store.address.prefix}/`;
    const content = randomBytes(5 * MiB + 3);
    const upload = await store.startUpload(`${at}a`, { "run-id": "7" });
    const last = await upload.sendPart(2, content.subarray(5 * MiB));
    const first = await upload.sendPart(1, content.subarray(0, 5 * MiB));
    assert.equal(await upload.countParts(), 2);
    assert.deepEqual(await keys(store, at), []);
    await assert.rejects(store.head(`${at}a`), isMissing);
    await upload.complete([first, last]);
    assert.ok(content.equals(await readWhole(await store.get(`${at}a`), 10 * MiB)));
    const head = await store.head(`${at}a`);
    assert.deepEqual([head.bytes, head.metadata["run-id"]], [content.length, "7"]);
  });

  it("an upload does not replace an object that came first", async () => {
    const store = await open("raced");
    const at = `${store.address.prefix}/`;
    const upload = await store.startUpload(`${at}a`);
    const part = await upload.sendPart(1, text("second"));
    await put(store, `${at}a`, "first");
    await assert.rejects(upload.complete([part]), isTaken);
    await upload.abort();
    assert.equal(await read(store, `${at}a`), "first");
  });

  it("a part that is too small, and is not the last, is refused", async () => {
    const store = await open("small");
    const at = `${store.address.prefix}/`;
    const upload = await store.startUpload(`${at}a`);
    const parts = [await upload.sendPart(1, text("a")), await upload.sendPart(2, text("b"))];
    await assert.rejects(upload.complete(parts), { name: "EntityTooSmall" });
    await upload.abort();
    assert.deepEqual(await keys(store, at), []);
  });

  it("an upload that was dropped is gone", async () => {
    const store = await open("dropped");
    const at = `${store.address.prefix}/`;
    const upload = await store.startUpload(`${at}a`);
    await upload.sendPart(1, text("a"));
    await upload.abort();
    await assert.rejects(upload.countParts(), { name: "NoSuchUpload" });
    assert.deepEqual(await keys(store, at), []);
  });
}

describe("an object store in memory", () => {
  keepsTheContract(async (prefix) => new MemoryStore({ prefix }));
});

describe("an object store at a service that speaks S3", () => {
  let service: TestStore;
  before(async () => {
    service = await startStore();
    await makeBucket(service, "contract");
  });
  after(() => service.stop());
  keepsTheContract(async (prefix) => openBucket(service, "contract", prefix));
});
