import { GetObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { type Manifest, parseManifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import { type AddressNames, ENVIRONMENT_NAMES } from "../address/addressNames.ts";
import type { Store } from "../s3/client.ts";
import { explain, isMissing, notS3 } from "../s3/errors.ts";
import {
  FOLDERS,
  type Folder,
  isStamp,
  legacyStem,
  parseKey,
  stem,
  type Tier,
} from "./objectKeys.ts";

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
  /** Full key of the manifest; null: there is none, so an entry of ours is incomplete and must not be restored. */
  readonly manifestKey: string | null;
  /** Stored, but doubted when it was taken: it never counts as latest. Its manifest says why. */
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

/** Whether the entry counts as a backup: complete, and not doubted. */
export function isGood(entry: CatalogueEntry): boolean {
  return isComplete(entry) && !entry.suspect;
}

/**
 * Lists the dumps of one database, newest first, in all folders. The name counts exactly: `app` never finds
 * `app_queue`. What has no dump is left out.
 * @throws Problem when the bucket cannot be listed
 */
export async function listBackups(store: Store, database: string): Promise<CatalogueEntry[]> {
  const { prefix } = store.address;
  const stems = new Set(FOLDERS.map((folder) => stem(prefix, database, folder)));
  stems.add(legacyStem(prefix, database));
  const pages = await Promise.all([...stems].map((s) => collect(objectsUnder(store, s, database))));
  // A key may lie under two stems; a map keeps it once.
  const objects = new Map(pages.flat().map((object) => [object.key, object]));
  const parts = new Map<string, string>();
  const dumps: { object: StoredObject; parsed: Dump }[] = [];
  for (const object of objects.values()) {
    const parsed = parseKey(prefix, object.key);
    if (parsed?.database !== database) continue;
    if (parsed.kind === "ours" || parsed.kind === "legacy") dumps.push({ object, parsed });
    else parts.set(partName(parsed.kind, parsed.folder, parsed.stamp), object.key);
  }
  return dumps.map(({ object, parsed }) => entryOf(object, parsed, parts)).sort(newestFirst);
}

/** Names of the databases that have a dump under the prefix, sorted. */
export async function listDatabases(store: Store): Promise<string[]> {
  const { prefix } = store.address;
  const names = new Set<string>();
  for await (const { key } of objectsUnder(store, `${prefix}/`, "every database")) {
    const parsed = parseKey(prefix, key);
    if (parsed?.kind === "ours" || parsed?.kind === "legacy") names.add(parsed.database);
  }
  return [...names].sort();
}

type Dump = Extract<NonNullable<ReturnType<typeof parseKey>>, { kind: "ours" | "legacy" }>;

interface StoredObject {
  readonly key: string;
  readonly bytes: number;
  readonly storedAt: string;
}

const partName = (kind: string, folder: Folder, stamp: string) => `${kind} ${folder} ${stamp}`;

function entryOf(
  object: StoredObject,
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
  const doubted = part("manifest", "suspect");
  return {
    ...common,
    manifestKey: doubted ?? part("manifest", folder),
    suspect: doubted !== null,
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

/** By stamp; of two with one stamp the complete one of ours comes first. */
function newestFirst(a: CatalogueEntry, b: CatalogueEntry): number {
  if (a.stamp !== b.stamp) return a.stamp < b.stamp ? 1 : -1;
  const rank = (entry: CatalogueEntry) => (entry.manifestKey === null ? 2 : entry.suspect ? 1 : 0);
  return rank(a) - rank(b) || (a.key < b.key ? -1 : 1);
}

async function* objectsUnder(
  store: Store,
  prefix: string,
  database: string,
): AsyncGenerator<StoredObject> {
  let token: string | undefined;
  do {
    const page = await store.client
      .send(
        new ListObjectsV2Command({
          Bucket: store.address.bucket,
          Prefix: prefix,
          ...(token !== undefined && { ContinuationToken: token }),
        }),
      )
      .catch((error: unknown) => {
        throw explain(error, store.address, `list the backups of ${database}`);
      });
    if (page.IsTruncated === undefined) {
      // A web page reads as an empty answer, which must not pass for an empty bucket.
      throw notS3(store.address, `list the backups of ${database}`);
    }
    for (const { Key: key, Size: bytes, LastModified: modified } of page.Contents ?? []) {
      if (key !== undefined && bytes !== undefined && modified !== undefined) {
        yield { key, bytes, storedAt: modified.toISOString() };
      }
    }
    const next = page.IsTruncated ? page.NextContinuationToken : undefined;
    if (page.IsTruncated && (next === undefined || next === token)) {
      throw new Problem(
        `cannot list the backups of ${database}: the service says that there are more, but not where they go on.`,
      );
    }
    token = next;
  } while (token !== undefined);
}

/**
 * Reads the manifest of a dump of ours and checks that it speaks of this dump.
 * @throws Problem when there is none, it cannot be read, or it contradicts the entry
 */
export async function readManifest(store: Store, entry: CatalogueEntry): Promise<Manifest> {
  if (entry.manifestKey === null) throw incomplete(entry);
  const key = entry.manifestKey;
  const text = await store.client
    .send(new GetObjectCommand({ Bucket: store.address.bucket, Key: key }))
    .then((answer) => answer.Body?.transformToString() ?? "")
    .catch((error: unknown) => {
      if (isMissing(error)) throw incomplete(entry);
      throw explain(error, store.address, `read the manifest ${key}`);
    });
  const manifest = parseManifest(text, key);
  const pairs: readonly [string, unknown, unknown][] = [
    ["database", manifest.database, entry.database],
    ["object", manifest.object.key, entry.key],
    ["time", manifest.takenAt, `${entry.stamp}Z`],
    ["state", manifest.suspect === null ? "good" : "suspect", entry.suspect ? "suspect" : "good"],
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
 * Picks the backup to restore.
 * @param entries of one database, as `listBackups` returns them
 * @param wanted `latest`, or a stamp such as `2026-11-24T03:15:02`, with or without `Z`
 * @param location where was looked, for the error, e.g. `s3://bucket/folder`
 * @param names what the reader called the folder, for the error @default the variables of the agent's container
 * @throws Problem when there is none, none with this stamp (it names the nearest), or that one is incomplete. `latest` is
 * never a suspect one; its own time chooses it
 */
export function chooseBackup(
  entries: readonly CatalogueEntry[],
  wanted: string,
  database: string,
  location: string,
  names: Pick<AddressNames, "prefix"> = ENVIRONMENT_NAMES,
): CatalogueEntry {
  const complete = entries.filter(isComplete).sort(newestFirst);
  if (wanted === "latest") {
    const newest = complete.find(isGood);
    if (newest !== undefined) return newest;
    const left = [
      leftOut(entries.length - complete.length, "without a manifest are incomplete"),
      leftOut(complete.length, "are suspect, to be chosen by their time only"),
    ].join("");
    throw new Problem(
      `no backup of ${database} in ${location}${left}. Take one with the backup command, or check ${names.prefix} and the database's name.`,
    );
  }
  const stamp = wanted.replace(/Z$/, "");
  if (!isStamp(stamp)) {
    throw new Problem(
      `"${wanted}" is no time of a backup. Give latest, or a UTC time such as 2026-11-24T03:15:02 from the list.`,
    );
  }
  const exact = complete.find((entry) => entry.stamp === stamp);
  if (exact !== undefined) return exact;
  const broken = entries.find((entry) => entry.stamp === stamp);
  if (broken !== undefined) throw incomplete(broken);
  const distance = (entry: CatalogueEntry) =>
    Math.abs(Date.parse(`${entry.stamp}Z`) - Date.parse(`${stamp}Z`));
  const stamps = [
    ...new Set(complete.toSorted((a, b) => distance(a) - distance(b)).map((e) => e.stamp)),
  ];
  const nearest = stamps.slice(0, 3);
  const hint =
    nearest.length === 0 ? "There is none at all." : `The nearest are ${nearest.join(", ")}.`;
  throw new Problem(`no backup of ${database} from ${stamp} in ${location}. ${hint}`);
}

function leftOut(count: number, why: string): string {
  return count === 0 ? "" : ` (${count} ${why})`;
}

function incomplete(entry: CatalogueEntry): Problem {
  return new Problem(
    `backup ${entry.key} is incomplete: its manifest is missing, so its upload was never confirmed. Choose another one from the list.`,
  );
}
