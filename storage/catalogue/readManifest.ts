import { type Manifest, parseManifest } from "../../common/contracts/manifest.ts";
import { formatBytes } from "../../common/format.ts";
import { Problem } from "../../common/problem.ts";
import { explain, isMissing } from "../s3/errors.ts";
import { type ObjectStore, readWhole } from "../s3/objectStore.ts";
import { type CatalogueEntry, incomplete } from "./catalogue.ts";

/** Manifests that are larger are not read. A database of 100,000 tables has one of 11 MiB. */
const LARGEST = 16 * 1024 * 1024;

/**
 * Reads the manifest of a dump and checks that it is the manifest of this dump.
 * @throws Problem when there is none, it cannot be read, or it contradicts the entry
 */
export async function readManifest(store: ObjectStore, entry: CatalogueEntry): Promise<Manifest> {
  if (entry.manifestKey === null) throw incomplete(entry);
  const key = entry.manifestKey;
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

/** Manifests read at once; each answer may be as large as a database of many thousand tables makes it. */
const READERS = 6;

/**
 * Reads the manifests of the latest entries that have one, a few at a time. One that cannot be read (a newer version, damaged)
 * must not hide the others: it is null.
 * @param limit of so many entries at most; the older ones get null
 */
export async function withManifests(
  store: ObjectStore,
  entries: readonly CatalogueEntry[],
  limit: number,
): Promise<(CatalogueEntry & { readonly manifest: Manifest | null })[]> {
  const found = new Map<CatalogueEntry, Manifest>();
  const waiting = entries.filter((entry) => entry.manifestKey !== null).slice(0, limit);
  const work = async () => {
    for (let entry = waiting.shift(); entry !== undefined; entry = waiting.shift()) {
      try {
        found.set(entry, await readManifest(store, entry));
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: READERS }, work));
  return entries.map((entry) => ({ ...entry, manifest: found.get(entry) ?? null }));
}
