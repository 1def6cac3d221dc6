import type { SigningKey } from "../../common/contracts/manifestMac.ts";
import {
  type Alive,
  aliveSchema,
  type Base,
  baseSchema,
  type Chain,
  chainSchema,
} from "../../common/contracts/pointInTime.ts";
import { Problem } from "../../common/problem.ts";
import {
  aliveKey,
  baseKey,
  chainKey,
  openStem,
  parsePointInTimeKey,
  pointInTimeStem,
} from "../catalogue/pointInTimeKeys.ts";
import { forEachAtOnce } from "../catalogue/readManifest.ts";
import { isBelieved, parseRecord } from "../catalogue/signedRecord.ts";
import { segmentPlace } from "../catalogue/walPosition.ts";
import { readStart } from "../s3/download.ts";
import { explain, isMissing } from "../s3/errors.ts";
import type { ObjectStore } from "../s3/objectStore.ts";
import {
  nameOf,
  placeOf,
  type StoredChain,
  type StoredPiece,
  type StoredSegment,
} from "./storedChain.ts";
import { stretchesOf } from "./stretches.ts";

/** Bytes; longer than any of these records. */
const LONGEST_RECORD = 64 * 1024;

/** What a listing shows of a chain before anything is read. */
interface Listed {
  hasRecord: boolean;
  readonly segments: { readonly file: string; readonly storedAt: string }[];
  readonly stamps: Set<string>;
  readonly tars: Set<string>;
}

/**
 * The chains in the bucket that are believed, in the order of their names, which is that of their beginnings. Of the many marks
 * of life only those are read that say how far back, or up to a moment, all is there.
 * @param keys by which chains and bases are signed; none: every one counts
 * @param moment the first mark after it is read too. ISO 8601 @default none
 * @throws Problem when the key may not list or read
 */
export async function readChains(
  store: ObjectStore,
  keys: readonly SigningKey[],
  moment?: string,
): Promise<StoredChain[]> {
  const chains: StoredChain[] = [];
  const listed = await listChains(store);
  for (const name of [...listed.keys()].toSorted()) {
    const one = listed.get(name) as Listed;
    const chain = one.hasRecord ? await readChain(store, name, keys) : undefined;
    if (chain !== undefined) chains.push(await readContents(store, chain, one, { keys, moment }));
  }
  return chains;
}

async function listChains(store: ObjectStore): Promise<Map<string, Listed>> {
  const { prefix } = store.address;
  const found = new Map<string, Listed>();
  for await (const { key, storedAt } of listed(store, pointInTimeStem(prefix))) {
    const parsed = parsePointInTimeKey(prefix, key);
    if (parsed === undefined) continue;
    const one: Listed = found.get(parsed.chain) ?? {
      ...{ hasRecord: false, segments: [], stamps: new Set(), tars: new Set() },
    };
    found.set(parsed.chain, one);
    if (parsed.kind === "chain") one.hasRecord = true;
    if (parsed.kind === "segment") one.segments.push({ file: parsed.file, storedAt });
    if (parsed.kind === "base") one.stamps.add(parsed.stamp);
    if (parsed.kind === "tar") one.tars.add(parsed.stamp);
  }
  return found;
}

async function readChain(
  store: ObjectStore,
  name: string,
  keys: readonly SigningKey[],
): Promise<Chain | undefined> {
  const text = await textOf(store, chainKey(store.address.prefix, name));
  const read = text && parseRecord(text, chainSchema, keys, "wal chain");
  // A record under another name would pass its WAL off as that of another server.
  return read && isBelieved(read) && read.record.chain === name ? read.record : undefined;
}

async function readContents(
  store: ObjectStore,
  chain: Chain,
  { segments: files, stamps, tars }: Listed,
  { keys, moment }: { readonly keys: readonly SigningKey[]; readonly moment: string | undefined },
): Promise<StoredChain> {
  const { prefix } = store.address;
  const { timeline, segmentBytes } = chain;
  const bases: Base[] = [];
  await forEachAtOnce(
    [...stamps].filter((stamp) => tars.has(stamp)),
    async (stamp) => {
      const text = await textOf(store, baseKey(prefix, { chain: chain.chain, stamp }));
      const read = text && parseRecord(text, baseSchema, keys, "base backup");
      if (!read || !isBelieved(read)) return;
      const { record } = read;
      if (record.chain !== chain.chain || record.stamp !== stamp) return;
      if (record.timeline === timeline) bases.push(record);
    },
  );
  const segments: StoredSegment[] = files
    .map(({ file, storedAt }) => ({ place: segmentPlace(file, segmentBytes), storedAt }))
    .filter(({ place }) => place.timeline === timeline)
    .map(({ place, storedAt }) => ({ number: Number(place.from) / segmentBytes, storedAt }))
    .toSorted((a, b) => a.number - b.number);
  const stored: StoredChain = {
    chain,
    segments,
    pieces: await readPieces(store, chain, segments),
    bases: bases.toSorted((a, b) => (a.stamp < b.stamp ? -1 : 1)),
    alive: [],
  };
  return { ...stored, alive: await readMarks(store, stored, moment) };
}

/** Pieces of the segments that are missing behind a whole one; at the beginning of a chain, of its first. */
async function readPieces(
  store: ObjectStore,
  chain: Chain,
  segments: readonly StoredSegment[],
): Promise<Map<number, readonly StoredPiece[]>> {
  const { prefix } = store.address;
  const whole = new Set(segments.map(({ number }) => number));
  const start = Math.floor(placeOf(chain.startLsn) / chain.segmentBytes);
  const waiting = [start, ...segments.map(({ number }) => number + 1)];
  const found = new Map<number, readonly StoredPiece[]>();
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    if (whole.has(next) || found.has(next)) continue;
    const file = nameOf(chain, next);
    const pieces: StoredPiece[] = [];
    for await (const { key, storedAt } of listed(
      store,
      `${openStem(prefix)}${chain.chain}/${file}.`,
    )) {
      const parsed = parsePointInTimeKey(prefix, key);
      if (parsed?.kind !== "piece" || parsed.from >= parsed.to) continue;
      pieces.push({ key, from: parsed.from, to: parsed.to, storedAt });
    }
    if (pieces.length === 0) continue;
    found.set(
      next,
      pieces.toSorted((a, b) => a.from - b.from || b.to - a.to),
    );
    // All of it may be there in pieces, and then the next one.
    waiting.push(next + 1);
  }
  return found;
}

/** The marks that bound what is proved: for each stretch the newest within it, and the first after a moment. */
async function readMarks(
  store: ObjectStore,
  stored: StoredChain,
  moment: string | undefined,
): Promise<Alive[]> {
  const { chain } = stored.chain;
  const { prefix } = store.address;
  const stamps: string[] = [];
  for await (const { key } of listed(store, `${openStem(prefix)}${chain}/alive/`)) {
    const parsed = parsePointInTimeKey(prefix, key);
    if (parsed?.kind === "alive") stamps.push(parsed.stamp);
  }
  stamps.sort();
  const known = new Map<string, Alive | null>();
  const read = async (stamp: string): Promise<Alive | null> => {
    const before = known.get(stamp);
    if (before !== undefined) return before;
    const text = await textOf(store, aliveKey(prefix, chain, stamp));
    const mark = parseMark(text, chain);
    known.set(stamp, mark);
    return mark;
  };
  for (const { end } of stretchesOf(stored)) await newestWithin(stamps, read, end);
  if (moment !== undefined && moment !== "latest") {
    const second = new Date(moment).toISOString().slice(0, 19);
    // The one of the same second may lie before it.
    for (const stamp of stamps.filter((stamp) => stamp >= second).slice(0, 2)) await read(stamp);
  }
  // How it is now, also where it has come further than what is stored.
  const [newest] = stamps.slice(-1);
  if (newest !== undefined) await read(newest);
  return [...known.values()]
    .filter((mark) => mark !== null)
    .toSorted((a, b) => Date.parse(a.time) - Date.parse(b.time));
}

/** Reads the newest mark that lies within so much WAL, which only grows: by halves. */
async function newestWithin(
  stamps: readonly string[],
  read: (stamp: string) => Promise<Alive | null>,
  end: number,
): Promise<void> {
  const isWithin = async (stamp: string | undefined) => {
    const mark = stamp === undefined ? null : await read(stamp);
    return mark !== null && placeOf(mark.serverLsn) <= end;
  };
  if (await isWithin(stamps.at(-1))) return;
  let low = 0;
  let high = stamps.length - 1;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (await isWithin(stamps[middle])) low = middle + 1;
    else high = middle;
  }
}

function parseMark(text: string | undefined, chain: string): Alive | null {
  try {
    const mark = aliveSchema.parse(JSON.parse(text ?? ""));
    return mark.chain === chain ? mark : null;
  } catch {
    return null;
  }
}

async function* listed(store: ObjectStore, prefix: string) {
  try {
    yield* store.list(prefix);
  } catch (error) {
    throw explain(error, store.address, "list the WAL and the base backups");
  }
}

/** @returns undefined of what has expired since it was listed */
async function textOf(store: ObjectStore, key: string): Promise<string | undefined> {
  try {
    return String(await readStart(store, key, LONGEST_RECORD));
  } catch (error) {
    if (error instanceof Problem && isMissing(error.cause)) return undefined;
    throw error;
  }
}
