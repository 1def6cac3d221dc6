import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import type { ObjectUpload } from "../../storage/s3/objectStore.ts";
import { type UploadOptions, uploadStream } from "../../storage/upload/upload.ts";
import { MemoryStore, serviceError } from "../support/memoryStore.ts";

const MiB = 1024 * 1024;
const options: UploadOptions = { partBytes: 5 * MiB, beforeComplete: async () => {} };
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** The bytes in chunks of uneven size, as pipes give them. */
async function* chunks(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0, size = 1; at < bytes.length; at += size, size = ((size * 7) % 65_521) + 1) {
    yield bytes.subarray(at, at + size);
  }
}

async function* failing(bytes: Buffer, error: Error): AsyncGenerator<Buffer> {
  yield bytes;
  throw error;
}

function nothingLeft(store: MemoryStore): void {
  assert.deepEqual([store.keys, store.unfinished], [[], []]);
}

/** A store whose uploads are completed in another way. */
class Completing extends MemoryStore {
  readonly #complete: (upload: ObjectUpload, parts: Parts) => Promise<void>;

  constructor(complete: (upload: ObjectUpload, parts: Parts) => Promise<void>) {
    super();
    this.#complete = complete;
  }

  override async startUpload(
    key: string,
    metadata?: Readonly<Record<string, string>>,
  ): Promise<ObjectUpload> {
    const upload = await super.startUpload(key, metadata);
    return {
      sendPart: (...part) => upload.sendPart(...part),
      complete: (parts) => this.#complete(upload, parts),
      abort: () => upload.abort(),
      countParts: () => upload.countParts(),
    };
  }
}
type Parts = Parameters<ObjectUpload["complete"]>[0];

const reset = () => Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });

describe("an upload", () => {
  it("asks before completing, when all parts are there and nothing is visible", async () => {
    const store = new MemoryStore();
    let acknowledged = 0;
    let seen: string[] | undefined;
    await uploadStream(store, "backup/x", chunks(randomBytes(6 * MiB)), {
      ...options,
      onProgress: (bytes) => {
        acknowledged = bytes;
      },
      beforeComplete: async () => {
        assert.equal(acknowledged, 6 * MiB);
        seen = store.keys;
      },
    });
    assert.deepEqual(seen, []);
    assert.deepEqual(store.keys, ["backup/x"]);
  });

  it("leaves nothing when beforeComplete throws", async () => {
    const store = new MemoryStore();
    const refusal = new Error("pg_dump ended with 1");
    const upload = uploadStream(store, "backup/x", chunks(randomBytes(12 * MiB)), {
      ...options,
      beforeComplete: () => Promise.reject(refusal),
    });
    await assert.rejects(upload, (error) => error === refusal);
    nothingLeft(store);
  });

  it("leaves nothing when the source fails", async () => {
    const store = new MemoryStore();
    const broken = new Error("pipe broke");
    const upload = uploadStream(store, "backup/x", failing(randomBytes(12 * MiB), broken), options);
    await assert.rejects(upload, (error) => error === broken);
    nothingLeft(store);
  });

  it("refuses an empty source, but lets beforeComplete speak first", async () => {
    const store = new MemoryStore();
    const empty = Buffer.alloc(0);
    await assert.rejects(uploadStream(store, "backup/x", chunks(empty), options), {
      name: "Problem",
      message: /the backup is empty/,
    });
    const dead = { ...options, beforeComplete: () => Promise.reject(new Error("pg_dump died")) };
    await assert.rejects(uploadStream(store, "backup/x", chunks(empty), dead), /pg_dump died/);
    nothingLeft(store);
  });

  it("stops at the provider's highest part number", async () => {
    const store = new MemoryStore({ provider: { maxParts: 2 } });
    const upload = uploadStream(store, "backup/x", chunks(randomBytes(11 * MiB)), options);
    await assert.rejects(upload, { name: "Problem", message: /more than the 2 parts/ });
    nothingLeft(store);
  });

  it("never replaces what is there, and drops its own parts", async () => {
    const store = new MemoryStore();
    // Of the same size: only the mark of the run tells the two apart.
    store.set("backup/x", "first", { "run-id": "another" });
    await assert.rejects(uploadStream(store, "backup/x", chunks(Buffer.from("first")), options), {
      name: "Problem",
      message: /^cannot upload backup\/x: .*exists already/,
    });
    assert.deepEqual([store.text("backup/x"), store.unfinished], ["first", []]);
  });
});

describe("an upload whose completion fails", () => {
  const content = randomBytes(6 * MiB);
  const rows: readonly [
    what: string,
    complete: (upload: ObjectUpload, parts: Parts) => Promise<void>,
    ends: RegExp | "stored",
  ][] = [
    [
      "the answer is lost after the work was done: it is stored",
      async (upload, parts) => {
        await upload.complete(parts);
        throw reset();
      },
      "stored",
    ],
    [
      "a repeated request finds its own object: it is stored",
      async (upload, parts) => {
        await upload.complete(parts);
        throw serviceError("PreconditionFailed", 412);
      },
      "stored",
    ],
    [
      "a repeated request finds the upload gone: it is stored",
      async (upload, parts) => {
        await upload.complete(parts);
        throw serviceError("NoSuchUpload", 404);
      },
      "stored",
    ],
    [
      "the connection breaks before: nothing is",
      () => Promise.reject(reset()),
      /connection .* broke/,
    ],
    [
      "the service refuses: nothing is, though it was not asked again",
      () => Promise.reject(serviceError("AccessDenied", 403)),
      /may not do this/,
    ],
  ];
  for (const [what, complete, ends] of rows) {
    it(what, async () => {
      const store = new Completing(complete);
      const upload = uploadStream(store, "backup/x", chunks(content), options);
      if (ends === "stored") {
        assert.deepEqual(await upload, { bytes: content.length, sha256: sha256(content) });
        assert.deepEqual(store.keys, ["backup/x"]);
      } else {
        await assert.rejects(upload, { name: "Problem", message: ends });
        nothingLeft(store);
      }
    });
  }

  it("an acknowledged object that is not there does not count", async () => {
    const store = new Completing(async () => {});
    store.set("backup/x", "of another run");
    await assert.rejects(uploadStream(store, "backup/x", chunks(content), options), {
      name: "Problem",
      message: /^the service acknowledged backup\/x, but does not hold the 6291456 bytes/,
    });
  });

  it("a key that may not look afterwards is content with the acknowledgement", async () => {
    const store = new MemoryStore().deny("head");
    await uploadStream(store, "backup/x", chunks(content), options);
    assert.deepEqual(store.keys, ["backup/x"]);
  });
});
