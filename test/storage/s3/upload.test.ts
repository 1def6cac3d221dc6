import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { HeadObjectCommand } from "@aws-sdk/client-s3";
import { aws } from "../../../storage/address/providers.ts";
import { openStore, type Store } from "../../../storage/s3/client.ts";
import { openObject } from "../../../storage/s3/download.ts";
import { S3ObjectStore } from "../../../storage/s3/s3ObjectStore.ts";
import { putNew } from "../../../storage/upload/conditionalPut.ts";
import { type UploadOptions, uploadStream } from "../../../storage/upload/upload.ts";
import { keysIn, makeBucket, openBucket, unfinishedIn } from "../../support/bucket.ts";
import { startRelay } from "../../support/servers/relay.ts";
import { startStore, type TestStore } from "../../support/servers/store.ts";

const MiB = 1024 * 1024;
const options: UploadOptions = { partBytes: 5 * MiB, beforeComplete: async () => {} };
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** The bytes in chunks of uneven size, as pipes give them. */
async function* chunks(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0, size = 1; at < bytes.length; at += size, size = ((size * 7) % 65_521) + 1) {
    yield bytes.subarray(at, at + size);
  }
}

async function nothingLeft(store: Store): Promise<void> {
  assert.deepEqual(await keysIn(store), []);
  assert.deepEqual(await unfinishedIn(store), []);
}

describe("upload", () => {
  let service: TestStore;
  before(async () => {
    service = await startStore();
  });
  after(() => service.stop());

  for (const [name, bytes] of [
    ["one byte", 1],
    ["exactly one part", 5 * MiB],
    ["exactly two parts", 10 * MiB],
    ["more parts than buffers", 22 * MiB + 12_345],
  ] as const) {
    it(`stores ${name}`, async () => {
      const store = await makeBucket(service, `size-${bytes}`);
      const content = randomBytes(bytes);
      const progress: number[] = [];
      const result = await uploadStream(store, "backup/x", chunks(content), {
        ...options,
        metadata: { origin: "test" },
        onProgress: (count) => progress.push(count),
      });
      assert.deepEqual(result, { bytes, sha256: sha256(content) });
      assert.equal(progress.at(-1), bytes);
      assert.deepEqual(
        progress,
        progress.toSorted((a, b) => a - b),
      );
      const head = await store.client.send(
        new HeadObjectCommand({ Bucket: store.address.bucket, Key: "backup/x" }),
      );
      assert.equal(head.ContentLength, bytes);
      assert.equal(head.Metadata?.["origin"], "test");
      const read = await openObject(store, "backup/x");
      assert.equal(read.bytes, bytes);
      assert.equal(sha256(Buffer.concat(await read.stream.toArray())), sha256(content));
      assert.deepEqual(await unfinishedIn(store), []);
    });
  }

  it("works with a checksum on each part, as on AWS", async () => {
    const { address } = await makeBucket(service, "checksums");
    const store = openStore({ ...address, provider: aws }, service);
    const content = randomBytes(11 * MiB);
    const result = await uploadStream(store, "backup/x", chunks(content), options);
    assert.equal(result.sha256, sha256(content));
  });

  it("signs the body of a part over plain http only, a small object always", async () => {
    const { address } = await makeBucket(service, "signed");
    const content = randomBytes(6 * MiB);
    for (const [endpoint, provider, checksum] of [
      [address.endpoint, address.provider, false],
      ["https://by.tls", address.provider, false],
      ["https://by.tls", aws, true],
    ] as const) {
      // The service is spoken to as it is; the address alone says that TLS lies around it.
      const store = openStore({ ...address, provider }, service);
      const seen: Record<string, string>[] = [];
      store.client.middlewareStack.add(
        (next, context) => (args) => {
          const { headers } = args.request as { headers: Record<string, string> };
          seen.push({ ...headers, command: String(context.commandName) });
          return next(args);
        },
        { step: "finalizeRequest", priority: "low" },
      );
      const key = `backup/${randomBytes(8).toString("hex")}`;
      const addressed = new S3ObjectStore(store.client, {
        ...store.address,
        ...(endpoint !== undefined && { endpoint }),
      });
      const result = await uploadStream(addressed, key, chunks(content), options);
      assert.equal(result.sha256, sha256(content));
      await putNew(addressed, `${key}.json`, "{}", "application/json");
      const parts = seen.filter(({ command }) => command === "UploadPartCommand");
      assert.equal(parts.length, 2);
      for (const part of parts) {
        const signed = part["x-amz-content-sha256"] !== "UNSIGNED-PAYLOAD";
        assert.equal(signed, endpoint === address.endpoint);
        assert.equal(part["x-amz-checksum-crc32"] !== undefined, checksum);
      }
      const [put] = seen.filter(({ command }) => command === "PutObjectCommand");
      assert.match(put?.["x-amz-content-sha256"] ?? "", /^[0-9a-f]{64}$/);
    }
  });

  it("leaves nothing when it is stopped, even if the source hangs", async () => {
    const store = await makeBucket(service, "stopped");
    const stop = new AbortController();
    async function* hanging() {
      yield randomBytes(12 * MiB);
      setTimeout(() => stop.abort(new Error("SIGTERM")), 50);
      await sleep(60_000, undefined, { ref: false });
    }
    const upload = uploadStream(store, "backup/x", hanging(), { ...options, signal: stop.signal });
    await assert.rejects(upload, /SIGTERM/);
    await nothingLeft(store);
  });

  it("never overwrites", async () => {
    const store = await makeBucket(service, "taken");
    const first = randomBytes(100);
    await uploadStream(store, "backup/x", chunks(first), options);
    const second = uploadStream(store, "backup/x", chunks(randomBytes(100)), options);
    await assert.rejects(second, {
      name: "Problem",
      message: /cannot upload backup\/x.*exists already/,
    });
    const { stream } = await openObject(store, "backup/x");
    assert.deepEqual(Buffer.concat(await stream.toArray()), first);
    assert.deepEqual(await unfinishedIn(store), []);
  });

  it("recognises its own success behind a lost answer", async () => {
    const store = await makeBucket(service, "lost-answer");
    const relay = await startRelay(service.endpoint, (method, path) =>
      method === "POST" && path.includes("uploadId=") ? "lose-answer" : "pass",
    );
    try {
      const content = randomBytes(6 * MiB);
      const through = openBucket({ ...service, endpoint: relay.endpoint }, "lost-answer");
      const result = await uploadStream(through, "backup/x", chunks(content), options);
      assert.equal(result.sha256, sha256(content));
      assert.ok(relay.count("lose-answer") > 0);
    } finally {
      await relay.stop();
    }
    assert.deepEqual(await keysIn(store), ["backup/x"]);
  });

  it("holds no more than its buffers, whatever the length", async () => {
    const store = await makeBucket(service, "pressure");
    let taken = 0;
    let acknowledged = 0;
    let ahead = 0;
    async function* source() {
      const chunk = Buffer.alloc(64 * 1024, 7);
      for (let i = 0; i < 30 * 16; i++) {
        taken += chunk.length;
        ahead = Math.max(ahead, taken - acknowledged);
        yield chunk;
      }
    }
    await uploadStream(store, "backup/x", source(), {
      ...options,
      queue: 2,
      onProgress: (bytes) => {
        acknowledged = bytes;
      },
    });
    assert.equal(taken, 30 * MiB);
    assert.ok(ahead <= 10 * MiB + 64 * 1024, `${ahead} bytes ahead`);
  });

  it("fails with a sentence when the service dies midway", async () => {
    const mortal = await startStore();
    try {
      const store = await makeBucket(mortal, "mortal");
      async function* source() {
        yield randomBytes(12 * MiB);
        await mortal.stop();
        yield randomBytes(12 * MiB);
      }
      await assert.rejects(uploadStream(store, "backup/x", source(), options), {
        name: "Problem",
        message: /cannot upload backup\/x: http:\/\/127\.0\.0\.1:\d+ refuses connections.*Besides/s,
      });
    } finally {
      await mortal.stop();
    }
  });
});
