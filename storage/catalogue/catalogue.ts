import { Problem } from "../../common/problem.ts";
import { explain } from "../s3/errors.ts";
import type { ListedObject, ObjectStore } from "../s3/objectStore.ts";
import { type CatalogueEntry, type DeployMark, latestFirst, type Mark } from "./catalogueEntry.ts";
import { FOLDERS, type Folder, legacyStem, parseKey, stem } from "./objectKeys.ts";
import { type OnUnread, resolveManifestConflicts } from "./readManifest.ts";

/**
 * Lists the dumps of one database, latest first, in all folders. The name counts exactly: `app` never finds
 * `app_queue`. What has no dump is left out. Of a dump with two manifests both are read, to find out whether it is suspect.
 * @param onUnread for one of which one of two manifests cannot be read for now @default that is a failure
 * @throws TooManyObjects when more lies there than is looked at
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
  // A key may lie under two stems; a map keeps it once.
  const objects = new Map<string, ListedObject>();
  const collect = async (stem: string) => {
    for await (const object of objectsUnder(store, stem, database)) {
      if (objects.size >= MOST_OBJECTS) throw new TooManyObjects(store, database);
      objects.set(object.key, object);
    }
  };
  await Promise.all([...stems].map(collect));
  const parts = new Map<string, ListedObject>();
  const marks: Marks = { verified: new Map(), deploy: new Map() };
  const dumps: { object: ListedObject; parsed: Dump }[] = [];
  for (const object of objects.values()) {
    const parsed = parseKey(prefix, object.key);
    if (parsed?.database !== database) continue;
    if (parsed.kind === "ours" || parsed.kind === "legacy") dumps.push({ object, parsed });
    else {
      const { kind, folder, stamp } = parsed;
      const name = partName(kind, folder, stamp);
      if (kind === "deploy") {
        add(marks.deploy, name, { revision: parsed.revision, ...markOf(object, parsed) });
      } else if (kind === "verified") {
        add(marks.verified, name, markOf(object, parsed));
      } else parts.set(name, object);
    }
  }
  const entries = dumps.map(({ object, parsed }) => entryOf(object, parsed, parts, marks));
  return (await resolveManifestConflicts(store, entries, onUnread)).sort(latestFirst);
}

/**
 * Objects that are looked at for one database: a backup every two minutes for a month has fewer. Whoever may merely write can add
 * any number, and what is listed has to stay in the container's memory.
 */
const MOST_OBJECTS = 100_000;
/** Databases of one folder, for the same reason. */
const MOST_DATABASES = 10_000;

/** There is more than is looked at. */
export class TooManyObjects extends Problem {
  constructor({ address: { bucket, prefix } }: ObjectStore, database: string) {
    super(
      `more than ${MOST_OBJECTS} objects in s3://${bucket}/${prefix} are named like backups of ${database}, and so many are not looked at: somebody has put them there, or nothing expires. Take them away with the bucket's own tools, or give the backups another folder.`,
    );
  }
}

/** Names of the databases that have a dump under the prefix, sorted; the first 10,000 that are found. */
export async function listDatabases(store: ObjectStore): Promise<string[]> {
  const { prefix } = store.address;
  const names = new Set<string>();
  for await (const { key } of objectsUnder(store, `${prefix}/`, "every database")) {
    const parsed = parseKey(prefix, key);
    if (parsed?.kind === "ours" || parsed?.kind === "legacy") names.add(parsed.database);
    if (names.size >= MOST_DATABASES) break;
  }
  return [...names].sort();
}

type Dump = Extract<NonNullable<ReturnType<typeof parseKey>>, { kind: "ours" | "legacy" }>;

/** By the name of the part. */
interface Marks {
  readonly verified: Map<string, Mark[]>;
  readonly deploy: Map<string, DeployMark[]>;
}

function markOf({ key }: ListedObject, { mac }: { readonly mac?: string }): Mark {
  return mac === undefined ? { key } : { key, mac };
}

function add<One>(lists: Map<string, One[]>, name: string, one: One): void {
  const list = lists.get(name) ?? [];
  list.push(one);
  lists.set(name, list);
}

const partName = (kind: string, folder: Folder, stamp: string) => `${kind} ${folder} ${stamp}`;

function entryOf(
  object: ListedObject,
  parsed: Dump,
  parts: ReadonlyMap<string, ListedObject>,
  marks: Marks,
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
  const verifications = marks.verified.get(partName("verified", folder, stamp));
  const deploys = marks.deploy.get(partName("deploy", folder, stamp));
  const index = part("index", folder);
  const both = folder !== "suspect" && beside !== null && suspectManifest !== null;
  return {
    ...common,
    manifestKey: beside ?? suspectManifest,
    suspect: suspectManifest !== null,
    ...(both && { suspectManifestKey: suspectManifest }),
    tier: folder === "suspect" ? null : folder,
    globalsKey: part("globals", folder),
    ...(index !== null && { indexKey: index }),
    verifiedKey: verifications?.[0]?.key ?? null,
    ...(verifications && { verifications }),
    ...(deploys && { deploys }),
    ...(manifest && { manifestStoredAt: manifest.storedAt }),
    ...(manifest !== undefined && object.storedAt > manifest.storedAt
      ? { overwritten: true, notice: overwrittenNotice(object, manifest) }
      : {}),
  };
}

function overwrittenNotice(dump: ListedObject, manifest: ListedObject): string {
  const [at, before] = [dump, manifest].map(({ storedAt }) => `${storedAt.slice(0, 19)}Z`);
  return `${dump.key} was stored at ${at}, later than its manifest (${before}), which is written last: it was overwritten, or copied from elsewhere. verify checks whether it is whole; where the bucket keeps versions, restore finds the one that was written first.`;
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
