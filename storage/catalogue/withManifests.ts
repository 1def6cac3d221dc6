import type { Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import type { Store } from "../s3/client.ts";
import { type CatalogueEntry, readManifest } from "./catalogue.ts";

/** Manifests read at once; each answer may be as large as a database of many thousand tables makes it. */
const READERS = 6;

/**
 * Reads the manifests of the newest complete entries, a few at a time. One that cannot be read (a newer version, damaged)
 * must not hide the others: it is null.
 * @param limit of so many entries at most; the older ones get null
 */
export async function withManifests(
  store: Store,
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
