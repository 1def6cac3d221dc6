import { Problem } from "../../common/problem.ts";
import { explain } from "../s3/errors.ts";
import type { ListedObject, ObjectStore } from "../s3/objectStore.ts";
import { FOLDERS, type Folder, legacyStem, parseKey, stem, type Tier } from "./objectKeys.ts";

/** One dump in the bucket, with what belongs to it. */
export interface CatalogueEntry {
  /** Exact name of the database. */
  readonly database: string;
  /** Time of the snapshot in UTC, `2026-11-24T03:15:02`. */
  readonly stamp: string;
  /** Full key of the dump. */
  readonly key: string;
  readonly bytes: number;
  /** When the service stored it, ISO 8601 in UTC. */
  readonly storedAt: string;
  /** `legacy`: written by postgres-backup-s3 or a fork, without manifest. */
  readonly kind: "ours" | "legacy";
  /** Full key of the manifest; null: there is none, so an entry of this package is incomplete and must not be restored. */
  readonly manifestKey: string | null;
  /** Stored, but found suspect when it was taken: it never counts as latest. Its manifest says why. */
  readonly suspect: boolean;
  /** Folder by calendar; null without tiers. */
  readonly tier: Tier | null;
  /** Full key of the roles and grants beside the dump; null: there are none. */
  readonly globalsKey: string | null;
  /** Full key of the mark that the dump was read back whole; null: it was not. */
  readonly verifiedKey: string | null;
}

/** Whether the entry can be restored: its manifest is there, or it is of a kind that never had one. */
export function isComplete(entry: CatalogueEntry): boolean {
  return entry.kind === "legacy" || entry.manifestKey !== null;
}

/** Whether the entry counts as a backup: complete, and not suspect. */
export function isGood(entry: CatalogueEntry): boolean {
  return isComplete(entry) && !entry.suspect;
}

/**
 * Lists the dumps of one database, latest first, in all folders. The name counts exactly: `app` never finds
 * `app_queue`. What has no dump is left out.
 * @throws Problem when the bucket cannot be listed
 */
export async function listBackups(store: ObjectStore, database: string): Promise<CatalogueEntry[]> {
  const { prefix } = store.address;
  const stems = new Set(FOLDERS.map((folder) => stem(prefix, database, folder)));
  stems.add(legacyStem(prefix, database));
  const pages = await Promise.all([...stems].map((s) => collect(objectsUnder(store, s, database))));
  // A key may lie under two stems; a map keeps it once.
  const objects = new Map(pages.flat().map((object) => [object.key, object]));
  const parts = new Map<string, string>();
  const dumps: { object: ListedObject; parsed: Dump }[] = [];
  for (const object of objects.values()) {
    const parsed = parseKey(prefix, object.key);
    if (parsed?.database !== database) continue;
    if (parsed.kind === "ours" || parsed.kind === "legacy") dumps.push({ object, parsed });
    else parts.set(partName(parsed.kind, parsed.folder, parsed.stamp), object.key);
  }
  return dumps.map(({ object, parsed }) => entryOf(object, parsed, parts)).sort(latestFirst);
}

/** Names of the databases that have a dump under the prefix, sorted. */
export async function listDatabases(store: ObjectStore): Promise<string[]> {
  const { prefix } = store.address;
  const names = new Set<string>();
  for await (const { key } of objectsUnder(store, `${prefix}/`, "every database")) {
    const parsed = parseKey(prefix, key);
    if (parsed?.kind === "ours" || parsed?.kind === "legacy") names.add(parsed.database);
  }
  return [...names].sort();
}

type Dump = Extract<NonNullable<ReturnType<typeof parseKey>>, { kind: "ours" | "legacy" }>;

const partName = (kind: string, folder: Folder, stamp: string) => `${kind} ${folder} ${stamp}`;

function entryOf(
  object: ListedObject,
  parsed: Dump,
  parts: ReadonlyMap<string, string>,
): CatalogueEntry {
  const { database, stamp, kind } = parsed;
  const common = { ...object, database, stamp, kind };
  if (parsed.kind === "legacy") {
    const none = { manifestKey: null, tier: null, globalsKey: null, verifiedKey: null };
    return { ...common, ...none, suspect: false };
  }
  const { folder } = parsed;
  const part = (what: string, where: Folder) => parts.get(partName(what, where, stamp)) ?? null;
  const suspectManifest = part("manifest", "suspect");
  return {
    ...common,
    manifestKey: suspectManifest ?? part("manifest", folder),
    suspect: suspectManifest !== null,
    tier: folder === "suspect" ? null : folder,
    globalsKey: part("globals", folder),
    verifiedKey: part("verified", folder),
  };
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of source) all.push(one);
  return all;
}

/** Order of a listing. By stamp, the latest first; of two with one stamp the complete one with a manifest comes first. */
export function latestFirst(a: CatalogueEntry, b: CatalogueEntry): number {
  if (a.stamp !== b.stamp) return a.stamp < b.stamp ? 1 : -1;
  const rank = (entry: CatalogueEntry) => (entry.manifestKey === null ? 2 : entry.suspect ? 1 : 0);
  return rank(a) - rank(b) || (a.key < b.key ? -1 : 1);
}

async function* objectsUnder(
  store: ObjectStore,
  prefix: string,
  database: string,
): AsyncGenerator<ListedObject> {
  try {
    yield* store.list(prefix);
  } catch (error) {
    throw explain(error, store.address, `list the backups of ${database}`);
  }
}

/** For an entry whose manifest is missing. */
export function incomplete(entry: CatalogueEntry): Problem {
  return new Problem(
    `backup ${entry.key} is incomplete: its manifest is missing, so its upload was never confirmed. Choose another one from the list.`,
  );
}
