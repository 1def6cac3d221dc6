import { GetObjectCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import type { Store } from "./client.ts";
import { explain, isMissing } from "./explain.ts";
import { isStamp, legacyStem, parseKey, stem } from "./keys.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import { Problem } from "./problem.ts";

/** One dump in the bucket. */
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
}

/** Whether the entry counts as a backup: its manifest is there, or it is of a kind that never had one. */
export function isComplete(entry: CatalogueEntry): boolean {
  return entry.kind === "legacy" || entry.manifestKey !== null;
}

/**
 * Lists the dumps of one database, newest first. The name counts exactly: `app` never finds `app_queue`. A manifest
 * without its dump is left out.
 * @throws Problem when the bucket cannot be listed
 */
export async function listBackups(store: Store, database: string): Promise<CatalogueEntry[]> {
  const { prefix } = store.address;
  const stems = new Set([stem(prefix, database), legacyStem(prefix, database)]);
  const entries: CatalogueEntry[] = [];
  const manifests = new Map<string, string>();
  for (const listed of stems) {
    for await (const object of objectsUnder(store, listed, database)) {
      const parsed = parseKey(prefix, object.key);
      if (parsed?.database !== database) continue;
      if (parsed.kind === "manifest") manifests.set(parsed.stamp, object.key);
      else
        entries.push({
          ...object,
          database,
          stamp: parsed.stamp,
          kind: parsed.kind,
          manifestKey: null,
        });
    }
  }
  // A key may lie under both stems; a map keeps it once.
  const unique = new Map(entries.map((entry) => [entry.key, entry]));
  return [...unique.values()]
    .map((entry) =>
      entry.kind === "ours" ? { ...entry, manifestKey: manifests.get(entry.stamp) ?? null } : entry,
    )
    .sort(newestFirst);
}

/** By stamp; of two with one stamp the complete one of ours comes first. */
function newestFirst(a: CatalogueEntry, b: CatalogueEntry): number {
  if (a.stamp !== b.stamp) return a.stamp < b.stamp ? 1 : -1;
  const rank = (entry: CatalogueEntry) => (entry.manifestKey === null ? 1 : 0);
  return rank(a) - rank(b) || (a.key < b.key ? -1 : 1);
}

async function* objectsUnder(store: Store, prefix: string, database: string) {
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
      throw new Problem(
        `cannot list the backups of ${database}: ${store.address.endpoint ?? "AWS"} did not answer in S3's language. Check S3_ENDPOINT.`,
      );
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
 * @throws Problem when there is none, none with this stamp (it names the nearest), or that one is incomplete
 */
export function chooseBackup(
  entries: readonly CatalogueEntry[],
  wanted: string,
  database: string,
  location: string,
): CatalogueEntry {
  const complete = entries.filter(isComplete).sort(newestFirst);
  if (wanted === "latest") {
    const newest = complete[0];
    if (newest !== undefined) return newest;
    const left =
      entries.length === 0 ? "" : ` (${entries.length} without a manifest are incomplete)`;
    throw new Problem(
      `no backup of ${database} in ${location}${left}. Take one with the backup command, or check S3_PREFIX and the database's name.`,
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

function incomplete(entry: CatalogueEntry): Problem {
  return new Problem(
    `backup ${entry.key} is incomplete: its manifest is missing, so its upload was never confirmed. Choose another one from the list.`,
  );
}
