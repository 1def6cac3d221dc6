import { explain } from "../s3/errors.ts";
import type { ObjectStore } from "../s3/objectStore.ts";
import type { CatalogueEntry } from "./catalogueEntry.ts";

/**
 * Deletes one backup and what belongs to it. The manifest goes first, so that a backup cut in two no longer counts; the
 * dump goes last, because it is by the dump that the next try finds what is left.
 * @throws Problem with the service's error as its cause
 */
export async function deleteBackup(store: ObjectStore, entry: CatalogueEntry): Promise<void> {
  const { manifestKey, suspectManifestKey, globalsKey, indexKey, key: dumpKey } = entry;
  const { verifications = [], deploys = [] } = entry;
  const marks = [...verifications, ...deploys].map(({ key }) => key);
  for (const key of [manifestKey, suspectManifestKey, ...marks, globalsKey, indexKey, dumpKey]) {
    if (key !== null && key !== undefined) await deleteObject(store, key);
  }
}

/** @throws Problem with the service's error as its cause */
export async function deleteObject(store: ObjectStore, key: string): Promise<void> {
  try {
    await store.delete(key);
  } catch (error) {
    throw explain(error, store.address, `delete ${key}`);
  }
}
