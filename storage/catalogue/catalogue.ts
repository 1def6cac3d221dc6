import { explain } from "../s3/errors.ts";
import type { ListedObject, ObjectStore } from "../s3/objectStore.ts";
import { type CatalogueEntry, type DeployMark, latestFirst } from "./catalogueEntry.ts";
import { FOLDERS, type Folder, legacyStem, parseKey, stem } from "./objectKeys.ts";
import { type OnUnread, resolveManifestConflicts } from "./readManifest.ts";

/**
 * Lists the dumps of one database, latest first, in all folders. The name counts exactly: `app` never finds
 * `app_queue`. What has no dump is left out. Of a dump with two manifests both are read, to find out whether it is suspect.
 * @param onUnread for one of which one of two manifests cannot be read for now @default that is a failure
 * @throws Problem when the bucket cannot be listed, or one of two manifests cannot be read
 */
export async function listBackups(
  store: ObjectStore,
  database: string,
  onUnread?: OnUnread,
): Promise<CatalogueEntry[]> {
  const { prefix } = store.address;
  const stems = new Set(FOLDERS.map((folder) => stem(prefix, database, folder)));
  stems.add(legacyStem(prefix, database));
  const pages = await Promise.all([...stems].map((s) => collect(objectsUnder(store, s, database))));
  // A key may lie under two stems; a map keeps it once.
  const objects = new Map(pages.flat().map((object) => [object.key, object]));
  const parts = new Map<string, ListedObject>();
  const deploys = new Map<string, DeployMark[]>();
  const dumps: { object: ListedObject; parsed: Dump }[] = [];
  for (const object of objects.values()) {
    const parsed = parseKey(prefix, object.key);
    if (parsed?.database !== database) continue;
    if (parsed.kind === "ours" || parsed.kind === "legacy") dumps.push({ object, parsed });
    else if (parsed.kind === "deploy") {
      const name = partName(parsed.kind, parsed.folder, parsed.stamp);
      const { revision } = parsed;
      deploys.set(name, [...(deploys.get(name) ?? []), { revision, key: object.key }]);
    } else parts.set(partName(parsed.kind, parsed.folder, parsed.stamp), object);
  }
  const entries = dumps.map(({ object, parsed }) => entryOf(object, parsed, parts, deploys));
  return (await resolveManifestConflicts(store, entries, onUnread)).sort(latestFirst);
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
  parts: ReadonlyMap<string, ListedObject>,
  deploys: ReadonlyMap<string, readonly DeployMark[]>,
): CatalogueEntry {
  const { database, stamp, kind } = parsed;
  const common = { ...object, database, stamp, kind };
  if (parsed.kind === "legacy") {
    const none = { manifestKey: null, tier: null, globalsKey: null, verifiedKey: null };
    return { ...common, ...none, suspect: false };
  }
  const { folder } = parsed;
  const found = (what: string, where: Folder) => parts.get(partName(what, where, stamp));
  const part = (what: string, where: Folder) => found(what, where)?.key ?? null;
  const suspectManifest = part("manifest", "suspect");
  const beside = part("manifest", folder);
  const manifest = found("manifest", folder) ?? found("manifest", "suspect");
  const marks = deploys.get(partName("deploy", folder, stamp));
  const both = folder !== "suspect" && beside !== null && suspectManifest !== null;
  return {
    ...common,
    manifestKey: beside ?? suspectManifest,
    suspect: suspectManifest !== null,
    ...(both && { suspectManifestKey: suspectManifest }),
    tier: folder === "suspect" ? null : folder,
    globalsKey: part("globals", folder),
    verifiedKey: part("verified", folder),
    ...(marks && { deploys: marks }),
    ...(manifest && { manifestStoredAt: manifest.storedAt }),
    ...(manifest !== undefined && object.storedAt > manifest.storedAt
      ? { overwritten: true, notice: overwrittenNotice(object, manifest) }
      : {}),
  };
}

function overwrittenNotice(dump: ListedObject, manifest: ListedObject): string {
  const [at, before] = [dump, manifest].map(({ storedAt }) => `${storedAt.slice(0, 19)}Z`);
  return `${dump.key} was stored at ${at}, later than its manifest (${before}), which is written last: it was overwritten, or copied from elsewhere. verify tells whether it is whole; where the bucket keeps versions, restore finds the one that was written first.`;
}

async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of source) all.push(one);
  return all;
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
