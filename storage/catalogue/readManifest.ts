import { LARGEST_MANIFEST, type Manifest, parseManifest } from "../../common/contracts/manifest.ts";
import {
  checkSignature,
  type Signature,
  type SigningKey,
} from "../../common/contracts/manifestMac.ts";
import { formatBytes } from "../../common/format.ts";
import { messageOf, Problem } from "../../common/problem.ts";
import { explain, isMissing, isRefused, notS3 } from "../s3/errors.ts";
import { type ObjectStore, readWhole } from "../s3/objectStore.ts";
import { atVersion } from "../s3/objectVersion.ts";
import { type CatalogueEntry, incomplete, isEncrypted } from "./catalogueEntry.ts";
import { parseKey } from "./objectKeys.ts";
import { versionsOf } from "./originalVersion.ts";

/**
 * Reads the manifest of a dump and checks that it is the manifest of this dump.
 * @throws Problem when there is none, it cannot be read, or it contradicts the entry
 */
export async function readManifest(store: ObjectStore, entry: CatalogueEntry): Promise<Manifest> {
  const { manifest } = await readSigned(store, entry, []);
  requireSize(manifest, entry);
  return manifest;
}

/**
 * The same, where dump or manifest may have been overwritten: a dump of another size is not refused, and of a manifest that
 * cannot be read, or is another backup's, the first version that can is taken, where the key may list versions. With keys, of
 * one that is not signed the first version that is.
 * @returns `storedAt` is when that version was stored; absent: the newest one is read
 * @throws Problem as `readManifest`
 */
export async function readOriginalManifest(
  store: ObjectStore,
  entry: CatalogueEntry,
  keys: readonly SigningKey[],
): Promise<SignedManifest & { readonly storedAt?: string }> {
  const { manifestKey: key } = entry;
  if (key === null) throw incomplete(entry);
  try {
    const newest = await readSigned(store, entry, keys);
    if (keys.length === 0 || isSigned(newest)) return newest;
    return (await firstVersion(store, entry, keys, isSigned)) ?? newest;
  } catch (error) {
    if (!(error instanceof Problem) || error.cause !== undefined) throw error;
    const found = await firstVersion(store, entry, keys, () => true).catch((second: unknown) => {
      // A page in the place of the service, which answers neither question.
      if (second instanceof Problem) return undefined;
      throw second;
    });
    if (found === undefined) throw error;
    return found;
  }
}

/**
 * Of a manifest that may be somebody else's the first version that is signed with one of these keys, where the key may
 * list versions: whoever may merely write can put another one over it.
 * @returns undefined: there is none, or the entry has no fault that a signature could disprove
 */
export async function readSignedOriginal(
  store: ObjectStore,
  entry: CatalogueEntry,
  keys: readonly SigningKey[],
): Promise<(SignedManifest & { readonly storedAt: string }) | undefined> {
  const disprovable =
    entry.originProblem && entry.originProblem !== "replay" && entry.originProblem !== "in clear";
  if (!disprovable || entry.manifestKey === null || keys.length === 0) return undefined;
  return firstVersion(store, entry, keys, isSigned);
}

function isSigned({ signature }: SignedManifest): boolean {
  return signature === "signed";
}

async function firstVersion(
  store: ObjectStore,
  entry: CatalogueEntry,
  keys: readonly SigningKey[],
  isWanted: (version: SignedManifest) => boolean,
): Promise<(SignedManifest & { readonly storedAt: string }) | undefined> {
  const key = entry.manifestKey ?? "";
  const versions = (await versionsOf(store, key)) ?? [];
  for (const { id, storedAt } of versions.slice(0, VERSIONS)) {
    const earlier = atVersion(store, key, id);
    const { manifest: found } = await attempt(() => readSigned(earlier, entry, keys));
    if (found !== undefined && isWanted(found)) return { ...found, storedAt };
  }
  return undefined;
}

/** So many versions of a manifest are tried, those that were stored first. */
const VERSIONS = 20;

/** @throws Problem when the dump has not the size that its manifest says */
export function requireSize({ object }: Manifest, { key, bytes }: CatalogueEntry): void {
  if (object.bytes === bytes) return;
  throw new Problem(
    `${key} has ${bytes} bytes, its manifest says ${object.bytes}: its size is not the one that was written, so it was overwritten. Where the bucket keeps versions, restore finds the one that was written first.`,
  );
}

/** A manifest, and what its signature is worth. */
export interface SignedManifest {
  readonly manifest: Manifest;
  readonly signature: Signature;
}

/**
 * The same, with its signature checked.
 * @param key of the manifest @default the entry's own
 * @throws Problem as `readManifest`
 */
export async function readSigned(
  store: ObjectStore,
  entry: CatalogueEntry,
  keys: readonly SigningKey[],
  key: string | null = entry.manifestKey,
): Promise<SignedManifest> {
  if (key === null) throw incomplete(entry);
  const signed = await readText(store, entry, keys, key);
  const { manifest } = signed;
  const place = parseKey(store.address.prefix, key);
  const suspect = place?.kind === "manifest" && place.folder === "suspect";
  const pairs: readonly [string, unknown, unknown][] = [
    ["database", manifest.database, entry.database],
    ["object", manifest.object.key, entry.key],
    ["time", manifest.takenAt, `${entry.stamp}Z`],
    ["state", manifest.suspect === null ? "good" : "suspect", suspect ? "suspect" : "good"],
    ["encryption", manifest.encryption, isEncrypted(entry) ? "age" : "none"],
  ];
  for (const [what, says, is] of pairs) {
    if (says !== is) {
      throw new Problem(
        `manifest ${key} does not belong to ${entry.key}: its ${what} is ${says}, expected ${is}. Choose another backup from the list.`,
      );
    }
  }
  return signed;
}

async function readText(
  store: ObjectStore,
  entry: CatalogueEntry,
  keys: readonly SigningKey[],
  key: string,
): Promise<SignedManifest> {
  try {
    const body = await store.get(key);
    if (body.bytes !== undefined && body.bytes > LARGEST_MANIFEST) {
      body.stream.destroy();
      throw tooLarge(key, formatBytes(body.bytes));
    }
    return await inMemory(body.bytes ?? LARGEST_MANIFEST, async () => {
      const bytes = await readWhole(body, LARGEST_MANIFEST + 1);
      if (bytes.length > LARGEST_MANIFEST) {
        throw tooLarge(key, `more than ${formatBytes(LARGEST_MANIFEST)}`);
      }
      if (isWebPage(bytes)) throw notS3(store.address);
      const text = bytes.toString("utf8");
      const manifest = parseManifest(text, key);
      // As it was stored: fields that this version does not know are signed as well.
      const signature = keys.length === 0 ? "unknown key" : checkSignature(JSON.parse(text), keys);
      return { manifest, signature };
    });
  } catch (error) {
    if (isMissing(error)) throw incomplete(entry);
    throw explain(error, store.address, `read the manifest ${key}`);
  }
}

/** Bytes of the manifests that are being parsed just now. */
let parsing = 0;
let oneIsDone = Promise.withResolvers<void>();

/**
 * Small manifests are parsed side by side, large ones after each other: while it is parsed, one takes several times its
 * size, and the container has little memory.
 */
async function inMemory<T>(bytes: number, work: () => Promise<T>): Promise<T> {
  while (parsing > 0 && parsing + bytes > LARGEST_MANIFEST) await oneIsDone.promise;
  parsing += bytes;
  try {
    return await work();
  } finally {
    parsing -= bytes;
    oneIsDone.resolve();
    oneIsDone = Promise.withResolvers();
  }
}

function tooLarge(key: string, size: string): Problem {
  return new Problem(
    `manifest ${key} has ${size}, so it was not read: none is larger than ${formatBytes(LARGEST_MANIFEST)}. Choose another backup from the list.`,
  );
}

/** What a proxy or a login page answers, with 200, in the place of the service. */
function isWebPage(bytes: Buffer): boolean {
  return /^\s*<(!doctype|html|head|body|\?xml)/i.test(bytes.toString("latin1", 0, 256));
}

/**
 * Called with a backup of which a manifest cannot be read for now, since the service does not answer, and why. Such a one
 * is then left out of the list. Without it that is a failure: a restore must not take another backup for the latest.
 */
export type OnUnread = (entry: CatalogueEntry, reason: string) => void;

/**
 * Reads the manifests of those entries whose keys alone do not say what they are: a dump with a second manifest under
 * `suspect`, and dumps that share one manifest. Whoever may write can add such objects, so they count only as far as
 * the manifests bear them out.
 * @throws Problem when the service does not answer, unless `onUnread` is given
 */
export async function resolveManifestConflicts(
  store: ObjectStore,
  entries: readonly CatalogueEntry[],
  onUnread?: OnUnread,
): Promise<CatalogueEntry[]> {
  const sharing = new Map<string, number>();
  for (const { manifestKey } of entries) {
    if (manifestKey !== null) sharing.set(manifestKey, (sharing.get(manifestKey) ?? 0) + 1);
  }
  const resolved: (CatalogueEntry | undefined)[] = [...entries];
  const unclear = entries.flatMap((entry, index) => {
    const shared = entry.manifestKey !== null && (sharing.get(entry.manifestKey) ?? 0) > 1;
    return shared || entry.suspectManifestKey !== undefined ? [{ entry, index, shared }] : [];
  });
  await forEachAtOnce(unclear, async ({ entry, index, shared }) => {
    resolved[index] = await unlessUnread(entry, onUnread, async () => {
      const owned = shared ? await withoutOthersManifest(store, entry) : entry;
      return withJudgedSuspicion(store, owned);
    });
  });
  return resolved.filter((entry) => entry !== undefined);
}

/**
 * Judges an entry by its manifests.
 * @returns undefined when the service does not give them for now, and somebody is there to hear it
 */
async function unlessUnread<T>(
  entry: CatalogueEntry,
  onUnread: OnUnread | undefined,
  judge: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await judge();
  } catch (error) {
    if (onUnread === undefined || !(error instanceof Problem)) throw error;
    onUnread(entry, error.message);
    return undefined;
  }
}

/** Of several dumps with one manifest it belongs to the one that it names; the others have none. */
async function withoutOthersManifest(
  store: ObjectStore,
  entry: CatalogueEntry,
): Promise<CatalogueEntry> {
  const { suspectManifestKey: _, ...rest } = entry;
  const found = await attempt(() => readManifest(store, entry));
  return found.manifest !== undefined || found.refused ? entry : { ...rest, manifestKey: null };
}

/**
 * A manifest under `suspect` takes the backup beside it out of the latest ones when it is about the very same object. It
 * never replaces the one beside the dump: by its time the backup can be read as before.
 */
async function withJudgedSuspicion(
  store: ObjectStore,
  entry: CatalogueEntry,
): Promise<CatalogueEntry> {
  const { suspectManifestKey: key } = entry;
  if (key === undefined) return entry;
  const [own, suspicion] = await Promise.all([
    attempt(() => readManifest(store, entry)),
    attempt(async () => {
      const { manifest } = await readSigned(store, entry, [], key);
      requireSize(manifest, entry);
      return manifest;
    }),
  ]);
  // A key that may list and not read: as long as nothing is known, the more careful answer. One that reads the manifest
  // beside the dump is refused the other one for what that object is, which whoever put it has chosen.
  if (own.refused && suspicion.refused) return entry;
  if (suspicion.manifest === undefined) {
    const notice = `${key} calls the backup suspect, but has no force: ${suspicion.reason}`;
    return { ...entry, suspect: false, notice: joined(entry.notice, notice) };
  }
  if (
    own.manifest !== undefined &&
    own.manifest.object.sha256 !== suspicion.manifest.object.sha256
  ) {
    const notice = `${key} calls the backup suspect, but has no force: its SHA-256 is not that of the manifest beside the dump.`;
    return { ...entry, suspect: false, notice: joined(entry.notice, notice) };
  }
  return { ...entry, suspectReason: suspicion.manifest.suspect };
}

function joined(...notices: readonly (string | null | undefined)[]): string {
  return notices.filter(Boolean).join(" ");
}

interface Attempt<T> {
  readonly manifest?: T;
  readonly refused?: boolean;
  /** Why there is no manifest to go by. */
  readonly reason?: string;
}

/** A manifest that says nothing is an answer; a service that does not answer is none. */
async function attempt<T>(read: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { manifest: await read() };
  } catch (error) {
    const fromService = error instanceof Problem ? error.cause : error;
    const reason = messageOf(error);
    if (fromService === undefined) return { reason };
    if (isRefused(fromService)) return { refused: true, reason };
    throw error;
  }
}

/** Manifests read at once; each answer may be as large as a database of many thousand tables makes it. */
const READERS = 6;

/** In the manifests of one list together; each takes some hundred bytes of memory. */
const MOST_TABLES = 200_000;

/** Does the work on a few of them at once. */
export async function forEachAtOnce<T>(items: readonly T[], work: (item: T) => Promise<void>) {
  const waiting = [...items];
  const reader = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: READERS }, reader));
}

/**
 * Reads the manifests of the latest entries that have one, a few at a time. Where a backup was found suspect later, that
 * is what they say. One that cannot be read (a newer version, damaged)
 * must not hide the others: it is null, and the notice says why.
 * @param limit of so many entries at most; the older ones get null
 */
export async function withManifests(
  store: ObjectStore,
  entries: readonly CatalogueEntry[],
  limit: number,
): Promise<(CatalogueEntry & { readonly manifest: Manifest | null })[]> {
  const found = new Map<CatalogueEntry, Manifest>();
  const notices = new Map<CatalogueEntry, string>();
  const readable = entries.filter((entry) => entry.manifestKey !== null).slice(0, limit);
  let tables = 0;
  await forEachAtOnce(readable, async (entry) => {
    // All of them stay in memory. The newest come first; those of a database with so many tables that the rest has no room
    // left can be read one by one.
    if (tables > MOST_TABLES) return;
    try {
      const { index: _, ...manifest } = await readManifest(store, entry);
      // Others have been read meanwhile.
      if (tables > MOST_TABLES) return;
      tables += manifest.tables.length;
      found.set(entry, { ...manifest, suspect: entry.suspectReason ?? manifest.suspect });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      // A key that may list and not read is no fault of each of them.
      if (!isRefused(error.cause)) notices.set(entry, error.message);
    }
  });
  return entries.map((entry) => {
    const notice = joined(entry.notice, notices.get(entry));
    return { ...entry, ...(notice && { notice }), manifest: found.get(entry) ?? null };
  });
}
