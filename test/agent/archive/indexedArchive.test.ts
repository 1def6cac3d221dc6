import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { dumpDecoder } from "../../../agent/archive/decode.ts";
import {
  type IndexedArchive,
  openIndexed,
  readBlocks,
} from "../../../agent/archive/indexedArchive.ts";
import { ArchiveIndexer } from "../../../agent/archive/toc/archiveIndexer.ts";
import { makeHeader } from "../../../common/age/header.ts";
import { encryptStream } from "../../../common/age/stream.ts";
import type { ArchiveIndex, Manifest } from "../../../common/contracts/manifest.ts";
import { madeArchive } from "../../support/archive.ts";
import { MemoryStore } from "../../support/memoryStore.ts";

const PASSPHRASE = "correct horse battery staple";
const KEY = "backup/shop_2026-11-24T03:15:02.pgdump";
const BIG = randomBytes(200_000);
const ARCHIVE = madeArchive([
  { id: 7, type: "TABLE" },
  { id: 9, data: [Buffer.from("1\n2\n"), BIG] },
  { id: 8, data: [] },
  { id: 11, data: [Buffer.from("3\n")] },
]);
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

function indexOf(digests: boolean): ArchiveIndex {
  const indexer = new ArchiveIndexer({ digests });
  indexer.push(Buffer.from(ARCHIVE));
  return indexer.index() as ArchiveIndex;
}

async function stored(encrypted: boolean): Promise<Buffer> {
  if (!encrypted) return ARCHIVE;
  const { header, payloadKey } = await makeHeader({ passphrase: PASSPHRASE });
  const parts: Buffer[] = [];
  async function* source() {
    yield ARCHIVE;
  }
  for await (const part of encryptStream(source(), header, payloadKey))
    parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

/** Opens what lies in a bucket. */
async function opened(
  {
    encrypted = false,
    change = (bytes: Buffer) => bytes,
    index = indexOf(!encrypted),
    beside,
  }: {
    encrypted?: boolean;
    change?: (bytes: Buffer) => Buffer;
    index?: Manifest["index"] | null;
    beside?: string;
  },
  prepare: (store: MemoryStore) => void = () => {},
) {
  const store = new MemoryStore();
  const bytes = await stored(encrypted);
  store.set(KEY, change(bytes));
  if (beside !== undefined) store.set(`${KEY}.index`, beside);
  const manifest = {
    object: { key: KEY, bytes: bytes.length, sha256: sha256(bytes) },
    compression: "pg_dump-zstd",
    encryption: encrypted ? "age" : "none",
    ...(index !== null && { index }),
  } as Manifest;
  prepare(store);
  const secrets = { identities: [], passphrase: PASSPHRASE };
  const decoder = await dumpDecoder(store, { key: KEY }, manifest, secrets);
  const signal = new AbortController().signal;
  const archive = await openIndexed({ store, signal }, { entry: { key: KEY }, manifest }, decoder);
  return { store, archive, signal };
}

async function data(archive: IndexedArchive, ids: readonly number[], signal: AbortSignal) {
  const parts: Buffer[] = [];
  for await (const part of readBlocks(archive, ids, signal)) parts.push(Buffer.from(part));
  return Buffer.concat(parts);
}

function wholeBecause(archive: Awaited<ReturnType<typeof openIndexed>>): string {
  return "whole" in archive ? archive.whole : "it is read in parts";
}

for (const encrypted of [false, true]) {
  describe(`a stored archive ${encrypted ? "that is encrypted" : "in clear"}`, () => {
    it("gives the data of any entries, and no more of it is fetched", async () => {
      const { archive, store, signal } = await opened({ encrypted });
      assert.ok("toc" in archive);
      store.requests.length = 0;
      const at = (id: number) => {
        const { start, bytes } = archive.blocks.get(id) ?? { start: 0, bytes: 0 };
        return ARCHIVE.subarray(start, start + bytes);
      };
      assert.ok((await data(archive, [9], signal)).equals(at(9)));
      assert.ok(
        (await data(archive, [9, 8, 11], signal)).equals(Buffer.concat([at(9), at(8), at(11)])),
      );
      assert.ok((await data(archive, [11], signal)).equals(at(11)));
      // Neighbours come together.
      assert.equal(store.requests.length, 3);
    });

    it("whose data was changed fails where that data is, and before its end", async () => {
      const { archive, signal } = await opened({
        encrypted,
        change: (bytes) => {
          const changed = Buffer.from(bytes);
          changed[100_000] = (changed[100_000] ?? 0) ^ 1;
          return changed;
        },
      });
      assert.ok("toc" in archive);
      await assert.rejects(data(archive, [9], signal), /is damaged/);
      assert.ok((await data(archive, [11], signal)).length > 0);
    });
  });
}

describe("an index that is not that of its dump is not used", () => {
  const good = indexOf(true);
  const without = indexOf(false);
  const [first, second, ...others] = good.blocks;
  assert.ok(first && second);
  for (const [what, index, why] of [
    ["none", null, /no index/],
    ["of another length", { ...good, blocks: good.blocks.slice(1) }, /does not fit/],
    ["with an entry twice", { ...good, blocks: [first, first, second, ...others] }, /does not fit/],
    [
      "with the number of another entry",
      { ...good, blocks: [[77, ...first.slice(1)], second, ...others] },
      /does not fit/,
    ],
    [
      "with another table of contents",
      { ...good, tocSha256: "0".repeat(64) },
      /not the one that was written/,
    ],
    [
      "with a table of contents that ends elsewhere",
      { ...without, toc: without.toc - 1, blocks: [[9, first[1] + 1, 1], second, ...others] },
      /does not fit/,
    ],
    ["without digests, of an archive in clear", without, /does not fit/],
    ["of another format", { ...good, format: "1.15" }, /does not fit/],
  ] as const) {
    it(what, async () => {
      const { archive } = await opened({ index: index as Manifest["index"] | null });
      assert.match(wholeBecause(archive), why);
    });
  }

  it("beside the dump it is read, and refused when it is not the one of the manifest", async () => {
    const text = JSON.stringify(good);
    const described = (more = {}) => ({
      object: {
        key: `${KEY}.index`,
        bytes: text.length,
        sha256: sha256(Buffer.from(text)),
        ...more,
      },
    });
    const { archive } = await opened({ index: described(), beside: text });
    assert.ok("toc" in archive);
    for (const [index, beside] of [
      [described(), text.replace("1.16", "1.15")],
      [described(), text.slice(0, -1)],
      [described(), `${text} `],
      [described({ key: "backup/other.pgdump.index" }), text],
    ] as const) {
      assert.match(wholeBecause((await opened({ index, beside })).archive), /index/);
    }
    const newer = JSON.stringify({ ...good, version: 2 });
    const index = described({ bytes: newer.length, sha256: sha256(Buffer.from(newer)) });
    assert.match(wholeBecause((await opened({ index, beside: newer })).archive), /index/);
  });

  it("nor at a service that sends whole objects only", async () => {
    const { archive } = await opened({}, (store) => {
      const whole = store.get.bind(store);
      store.getRange = (key) => whole(key);
    });
    assert.match(wholeBecause(archive), /sends whole objects only/);
  });
});

it("a range that breaks off is fetched again", async () => {
  const { archive, store, signal } = await opened({});
  assert.ok("toc" in archive);
  let failures = 2;
  store.fail("get", () => (failures-- > 0 ? new Error("socket hang up") : undefined));
  assert.ok((await data(archive, [9], signal)).length > BIG.length);
});
