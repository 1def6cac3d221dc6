import { createHash } from "node:crypto";
import { DamagedObject } from "../../common/age/stream.ts";
import { type ArchiveIndex, type Manifest, parseIndex } from "../../common/contracts/manifest.ts";
import { formatBytes } from "../../common/format.ts";
import { BadBackup } from "../../common/problem.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { indexKey } from "../../storage/catalogue/objectKeys.ts";
import { readStart } from "../../storage/s3/download.ts";
import { NoRanges } from "../../storage/s3/rangedRead.ts";
import type { AgentContext } from "../runtime/context.ts";
import type { Decoder } from "./decode.ts";
import { UnknownFormat } from "./toc/grammar.ts";
import { openPlain, type PlainReader } from "./toc/plainReader.ts";
import { hasData, TableOfContents } from "./toc/tableOfContents.ts";

/** Where the data of one entry lies. */
export interface Block {
  readonly start: number;
  readonly bytes: number;
  readonly pieces: number;
  /** Absent where the archive is encrypted, which shows by itself that it was changed. */
  readonly sha256?: string | undefined;
}

/** A stored archive of which any part can be read. */
export interface IndexedArchive {
  readonly key: string;
  readonly reader: PlainReader;
  readonly toc: TableOfContents;
  /** By the number of the entry. */
  readonly blocks: ReadonlyMap<number, Block>;
}

/** Bytes, of the index and of the table of contents. More does not fit into the container's memory; 10,000 tables take a tenth. */
const LARGEST = 64 * 1024 * 1024;

/** Why an archive is to be read whole. */
class Refused extends Error {}

/**
 * Opens an archive by its index. Whatever is odd about the index, nothing is read by it.
 * @returns why the archive has to be read whole instead, as the rest of a sentence
 * @throws Problem when the bucket does not answer
 */
export async function openIndexed(
  context: Pick<AgentContext, "store" | "signal">,
  {
    entry,
    manifest,
  }: { readonly entry: Pick<CatalogueEntry, "key">; readonly manifest: Manifest | null },
  decoder: Decoder,
): Promise<IndexedArchive | { readonly whole: string }> {
  try {
    if (manifest === null) throw new Refused("it has no manifest");
    if (manifest.compression === "zstd") {
      throw new Refused("its archive lies within zstd, as of PostgreSQL 14 and 15");
    }
    if (manifest.index === undefined)
      throw new Refused("it has no index that this version can read");
    const index =
      "object" in manifest.index
        ? await readIndex(context, manifest.index.object, manifest)
        : manifest.index;
    if (index.toc > LARGEST) throw new Refused("its table of contents is too long");
    const reader = await openPlain(context, manifest.object, decoder);
    return await checked(context, entry.key, { index, manifest, reader });
  } catch (error) {
    if (error instanceof Refused) return { whole: error.message };
    if (error instanceof NoRanges) return { whole: "the service sends whole objects only" };
    if (error instanceof UnknownFormat)
      return { whole: "its table of contents is of an unknown form" };
    // Reading it whole shows best what is wrong with it.
    if (error instanceof BadBackup) return { whole: "a part of it is damaged" };
    throw error;
  }
}

async function readIndex(
  { store }: Pick<AgentContext, "store">,
  { key, bytes, sha256 }: { readonly key: string; readonly bytes: number; readonly sha256: string },
  { object }: Manifest,
): Promise<ArchiveIndex> {
  if (key !== indexKey(object.key))
    throw new Refused("its manifest names the index of another backup");
  if (bytes > LARGEST) throw new Refused(`its index has ${formatBytes(bytes)}`);
  const text = await readStart(store, key, bytes + 1);
  const isOurs = text.length === bytes && digestOf([text]) === sha256;
  const index = isOurs ? parseIndex(text.toString("utf8")) : undefined;
  if (index === undefined) throw new Refused("its index is not the one that was written");
  return index;
}

async function checked(
  { signal }: Pick<AgentContext, "signal">,
  key: string,
  {
    index,
    manifest,
    reader,
  }: { readonly index: ArchiveIndex; readonly manifest: Manifest; readonly reader: PlainReader },
): Promise<IndexedArchive> {
  const blocks = new Map<number, Block>();
  let start = index.toc;
  for (const [id, bytes, pieces, sha256] of index.blocks) {
    blocks.set(id, { start, bytes, pieces, sha256 });
    start += bytes;
  }
  const inClear = manifest.encryption === "none";
  const isAuthentic =
    !inClear || [index.tocSha256, ...index.blocks.map(([, , , sha256]) => sha256)].every(Boolean);
  if (start !== reader.bytes || blocks.size !== index.blocks.length || !isAuthentic) {
    throw new Refused("its index does not fit its dump");
  }
  const bytes = Buffer.concat([...(await reader.read({ from: 0, to: index.toc }, signal))]);
  if (inClear && digestOf([bytes]) !== index.tocSha256) {
    throw new Refused("its table of contents is not the one that was written");
  }
  const toc = new TableOfContents(bytes);
  const withData = toc.entries.filter(hasData);
  const fits = withData.length === blocks.size && withData.every(({ id }) => blocks.has(id));
  if (toc.format !== index.format || !fits) throw new Refused("its index does not fit its dump");
  return { key, reader, toc, blocks };
}

/** What is fetched at once. */
const SUB_RANGE = 8 * 1024 * 1024;

/**
 * The data of entries, one after the other. While one range is given out, the next is on its way.
 * @param ids in the order in which they are wanted
 * @param onBytes called with the bytes of each range that has come
 * @throws DamagedObject when something is not what was written; Problem when it cannot be read
 */
export async function* readBlocks(
  { key, reader, blocks }: IndexedArchive,
  ids: readonly number[],
  signal: AbortSignal,
  onBytes: (bytes: number) => void = () => {},
): AsyncGenerator<Buffer> {
  const wanted = ids.map((id) => blocks.get(id) as Block);
  const ranges = rangesOf(wanted);
  const check = new BlockCheck(key, wanted);
  const fetch = (at: number) => {
    const range = ranges[at];
    const coming = range && reader.read(range, signal);
    // It may fail before it is wanted.
    coming?.catch(() => {});
    return coming;
  };
  let next = fetch(0);
  for (const [at, { from, to }] of ranges.entries()) {
    const pieces = (await next) ?? [];
    next = fetch(at + 1);
    onBytes(to - from);
    for (const piece of pieces) {
      check.update(piece);
      yield piece;
    }
  }
}

/** Neighbours are fetched together, and what is large in several parts. */
function rangesOf(blocks: readonly Block[]): { from: number; to: number }[] {
  const ranges: { from: number; to: number }[] = [];
  for (const { start, bytes } of blocks) {
    const last = ranges.at(-1);
    if (last?.to === start && last.to - last.from + bytes <= SUB_RANGE) {
      last.to = start + bytes;
      continue;
    }
    for (let from = start; from < start + bytes; from += SUB_RANGE) {
      ranges.push({ from, to: Math.min(from + SUB_RANGE, start + bytes) });
    }
  }
  return ranges;
}

/** Compares each block with its SHA-256, where it has one. */
class BlockCheck {
  readonly #key: string;
  readonly #blocks: readonly Block[];
  #hash = createHash("sha256");
  #at = 0;
  #missing: number;

  constructor(key: string, blocks: readonly Block[]) {
    this.#key = key;
    this.#blocks = blocks;
    this.#missing = blocks[0]?.bytes ?? 0;
  }

  update(piece: Buffer): void {
    if (this.#blocks[this.#at]?.sha256 === undefined) return;
    for (let at = 0; at < piece.length; ) {
      const part = piece.subarray(at, at + this.#missing);
      this.#hash.update(part);
      at += part.length;
      this.#missing -= part.length;
      if (this.#missing === 0) this.#end();
    }
  }

  #end(): void {
    const { start = 0, sha256 } = this.#blocks[this.#at] ?? {};
    if (this.#hash.digest("hex") !== sha256) {
      throw new DamagedObject(
        `${this.#key} is damaged: what stands there from byte ${start} on is not what was written.`,
      );
    }
    this.#hash = createHash("sha256");
    this.#at += 1;
    this.#missing = this.#blocks[this.#at]?.bytes ?? 0;
  }
}

function digestOf(parts: readonly Buffer[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}
