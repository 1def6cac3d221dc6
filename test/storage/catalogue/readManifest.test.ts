import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, it } from "node:test";
import { LARGEST_MANIFEST } from "../../../common/contracts/manifest.ts";
import { listBackups } from "../../../storage/catalogue/catalogue.ts";
import { dumpKey, manifestKey } from "../../../storage/catalogue/objectKeys.ts";
import { readManifest } from "../../../storage/catalogue/readManifest.ts";
import type { ObjectBody } from "../../../storage/s3/objectStore.ts";
import { backupManifest } from "../../support/manifest.ts";
import { MemoryStore } from "../../support/memoryStore.ts";

const MiB = 1024 * 1024;
const plain = { compression: "zstd", encryption: "none" } as const;

/** Says of each manifest that it has so many bytes, and counts what is on its way into memory at the same time. */
class LargeManifests extends MemoryStore {
  /** The most bytes, and the most manifests, that were being read at once. */
  readonly most = { bytes: 0, manifests: 0 };
  private readonly now = { bytes: 0, manifests: 0 };
  readonly #sizes: (number | undefined)[];

  constructor(sizes: readonly (number | undefined)[]) {
    super();
    this.#sizes = [...sizes];
  }

  override async get(key: string): Promise<ObjectBody> {
    const body = await super.get(key);
    const bytes = this.#sizes.shift();
    const { most, now } = this;
    const size = bytes ?? LARGEST_MANIFEST;
    async function* pieces() {
      now.bytes += size;
      now.manifests += 1;
      most.bytes = Math.max(most.bytes, now.bytes);
      most.manifests = Math.max(most.manifests, now.manifests);
      // All others that may begin have begun by then: they wait for nothing but promises.
      await new Promise(setImmediate);
      yield* body.stream;
      now.bytes -= size;
      now.manifests -= 1;
    }
    const stream = Readable.from(pieces());
    return { ...body, stream, bytes };
  }
}

/** Reads one manifest for each size, all at the same time. @returns what each came to, its time or the error's text */
async function readAtOnce(sizes: readonly (number | undefined)[], broken: readonly number[] = []) {
  const store = new LargeManifests(sizes);
  for (const index of sizes.keys()) {
    const stamp = `2026-11-01T00:00:0${index}`;
    const key = dumpKey("backup", "app", stamp, plain);
    const object = { key, bytes: 1, sha256: "0".repeat(64) };
    const manifest = backupManifest({ takenAt: `${stamp}Z`, object });
    store.set(key);
    const text = broken.includes(index) ? "{" : JSON.stringify(manifest);
    store.set(manifestKey("backup", "app", stamp), text);
  }
  const entries = (await listBackups(store, "app")).toReversed();
  const read = await Promise.allSettled(entries.map((entry) => readManifest(store, entry)));
  const times = read.map((result) =>
    result.status === "fulfilled" ? result.value.takenAt.slice(-3, -1) : "failed",
  );
  return { most: store.most, times };
}

describe("manifests that are read at the same time", () => {
  it("are not in memory together when they are large, however many are asked for", async () => {
    const { most, times } = await readAtOnce([9 * MiB, 9 * MiB, 9 * MiB, 9 * MiB]);
    assert.deepEqual(most, { bytes: 9 * MiB, manifests: 1 });
    assert.deepEqual(times, ["00", "01", "02", "03"]);
  });

  it("are side by side as far as they fit into what the largest one may take", async () => {
    const halves = await readAtOnce([8 * MiB, 8 * MiB, 8 * MiB, 8 * MiB]);
    assert.deepEqual(halves.most, { bytes: LARGEST_MANIFEST, manifests: 2 });
    assert.deepEqual(halves.times, ["00", "01", "02", "03"]);
    const small = await readAtOnce([1000, 1000, 1000, 1000, 1000, 1000]);
    assert.deepEqual(small.most, { bytes: 6000, manifests: 6 });
  });

  it("count as large when the service does not say their size", async () => {
    const { most, times } = await readAtOnce([undefined, undefined, undefined]);
    assert.deepEqual(most, { bytes: LARGEST_MANIFEST, manifests: 1 });
    assert.deepEqual(times, ["00", "01", "02"]);
  });

  it("do not wait for one that could not be read", async () => {
    const { most, times } = await readAtOnce([9 * MiB, 9 * MiB, 9 * MiB], [0, 1]);
    assert.equal(most.manifests, 1);
    assert.deepEqual(times, ["failed", "failed", "02"]);
  });
});
