import { type Manifest, parseManifest } from "../../common/contracts/manifest.ts";
import { formatBytes } from "../../common/format.ts";
import { Problem } from "../../common/problem.ts";
import { explain, isMissing, isRefused } from "../s3/errors.ts";
import { type ObjectStore, readWhole } from "../s3/objectStore.ts";
import { type CatalogueEntry, incomplete } from "./catalogueEntry.ts";
import { parseKey } from "./objectKeys.ts";

/** Manifests that are larger are not read. A database of 100,000 tables has one of 11 MiB. */
const LARGEST = 16 * 1024 * 1024;

/**
 * Reads the manifest of a dump and checks that it is the manifest of this dump.
 * @throws Problem when there is none, it cannot be read, or it contradicts the entry
 */
export async function readManifest(store: ObjectStore, entry: CatalogueEntry): Promise<Manifest> {
  if (entry.manifestKey === null) throw incomplete(entry);
  return readManifestAt(store, entry, entry.manifestKey);
}

async function readManifestAt(
  store: ObjectStore,
  entry: CatalogueEntry,
  key: string,
): Promise<Manifest> {
  const bytes = await store
    .get(key)
    .then((body) => readWhole(body, LARGEST + 1))
    .catch((error: unknown) => {
      if (isMissing(error)) throw incomplete(entry);
      throw explain(error, store.address, `read the manifest ${key}`);
    });
  if (bytes.length > LARGEST) {
    throw new Problem(
      `manifest ${key} has more than ${formatBytes(LARGEST)}, so it was not read. Choose another backup from the list.`,
    );
  }
  const manifest = parseManifest(bytes.toString("utf8"), key);
  const place = parseKey(store.address.prefix, key);
  const suspect = place?.kind === "manifest" && place.folder === "suspect";
  const pairs: readonly [string, unknown, unknown][] = [
    ["database", manifest.database, entry.database],
    ["object", manifest.object.key, entry.key],
    ["time", manifest.takenAt, `${entry.stamp}Z`],
    ["state", manifest.suspect === null ? "good" : "suspect", suspect ? "suspect" : "good"],
    ["size", manifest.object.bytes, entry.bytes],
  ];
  for (const [what, says, is] of pairs) {
    if (says !== is) {
      throw new Problem(
        `manifest ${key} does not belong to ${entry.key}: its ${what} is ${says}, expected ${is}. Choose another backup from the list.`,
      );
    }
  }
  return manifest;
}

/**
 * Reads the manifests of those entries whose keys alone do not say what they are: a dump with a second manifest under
 * `suspect`, and dumps that share one manifest. Whoever may write can add such objects, so they count only as far as
 * the manifests bear them out.
 * @throws Problem when the service does not answer
 */
export async function settleDoubts(
  store: ObjectStore,
  entries: readonly CatalogueEntry[],
): Promise<CatalogueEntry[]> {
  const sharing = new Map<string, number>();
  for (const { manifestKey } of entries) {
    if (manifestKey !== null) sharing.set(manifestKey, (sharing.get(manifestKey) ?? 0) + 1);
  }
  const settled = [...entries];
  const doubtful = entries.flatMap((entry, index) => {
    const shared = entry.manifestKey !== null && (sharing.get(entry.manifestKey) ?? 0) > 1;
    return shared || entry.suspectManifestKey !== undefined ? [{ entry, index, shared }] : [];
  });
  await forEachAtOnce(doubtful, async ({ entry, index, shared }) => {
    const owned = shared ? await withoutOthersManifest(store, entry) : entry;
    settled[index] = await withJudgedSuspicion(store, owned);
  });
  return settled;
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
  const [own, doubt] = await Promise.all([
    attempt(() => readManifest(store, entry)),
    attempt(() => readManifestAt(store, entry, key)),
  ]);
  // A key that may list and not read: as long as nothing is known, the more careful answer. One that reads the manifest
  // beside the dump is refused the other one for what that object is, which whoever put it has chosen.
  if (own.refused && doubt.refused) return entry;
  if (doubt.manifest === undefined) {
    const notice = `${key} calls the backup suspect, but has no force: ${doubt.reason}`;
    return { ...entry, suspect: false, notice };
  }
  if (own.manifest !== undefined && own.manifest.object.sha256 !== doubt.manifest.object.sha256) {
    const notice = `${key} calls the backup suspect, but has no force: its SHA-256 is not that of the manifest beside the dump.`;
    return { ...entry, suspect: false, notice };
  }
  return { ...entry, suspectReason: doubt.manifest.suspect };
}

interface Attempt {
  readonly manifest?: Manifest;
  readonly refused?: boolean;
  /** Why there is no manifest to go by. */
  readonly reason?: string;
}

/** A manifest that says nothing is an answer; a service that does not answer is none. */
async function attempt(read: () => Promise<Manifest>): Promise<Attempt> {
  try {
    return { manifest: await read() };
  } catch (error) {
    const fromService = error instanceof Problem ? error.cause : error;
    const reason = error instanceof Error ? error.message : String(error);
    if (fromService === undefined) return { reason };
    if (isRefused(fromService)) return { refused: true, reason };
    throw error;
  }
}

/** Manifests read at once; each answer may be as large as a database of many thousand tables makes it. */
const READERS = 6;

async function forEachAtOnce<T>(items: readonly T[], work: (item: T) => Promise<void>) {
  const waiting = [...items];
  const reader = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: READERS }, reader));
}

/**
 * Reads the manifests of the latest entries that have one, a few at a time. Where a backup was found suspect later, that
 * is what they say. One that cannot be read (a newer version, damaged)
 * must not hide the others: it is null.
 * @param limit of so many entries at most; the older ones get null
 */
export async function withManifests(
  store: ObjectStore,
  entries: readonly CatalogueEntry[],
  limit: number,
): Promise<(CatalogueEntry & { readonly manifest: Manifest | null })[]> {
  const found = new Map<CatalogueEntry, Manifest>();
  const readable = entries.filter((entry) => entry.manifestKey !== null).slice(0, limit);
  await forEachAtOnce(readable, async (entry) => {
    try {
      const manifest = await readManifest(store, entry);
      found.set(entry, { ...manifest, suspect: entry.suspectReason ?? manifest.suspect });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
    }
  });
  return entries.map((entry) => ({ ...entry, manifest: found.get(entry) ?? null }));
}
