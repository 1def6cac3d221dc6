import { explain, isDenied } from "../s3/errors.ts";
import type { ObjectStore, UnfinishedUpload } from "../s3/objectStore.ts";

const DAY_MS = 86_400_000;

/**
 * Uploads below the store's prefix that were begun and neither finished nor aborted, oldest first: their parts are stored
 * and billed, and no listing of objects shows them.
 * @throws Problem when the key may not list them
 */
export async function listUnfinished(store: ObjectStore): Promise<UnfinishedUpload[]> {
  const found: UnfinishedUpload[] = [];
  try {
    for await (const one of store.listUploads(`${store.address.prefix}/`)) found.push(one);
  } catch (error) {
    throw explain(error, store.address, "list unfinished uploads");
  }
  return found.toSorted((a, b) => a.begunAt.localeCompare(b.begunAt));
}

/**
 * Aborts those older than a day, as no upload of ours takes so long without an end. Where the key may not list them, the
 * bucket's own rule has to: then nothing is done.
 * @returns those that are gone
 * @throws Problem when it fails for another reason than the key
 */
export async function abortAbandoned(
  store: ObjectStore,
  now: Date,
): Promise<readonly UnfinishedUpload[]> {
  const limit = new Date(now.getTime() - DAY_MS).toISOString();
  const aborted: UnfinishedUpload[] = [];
  try {
    for (const one of await listUnfinished(store)) {
      if (one.begunAt >= limit) break;
      await store.abortUpload(one);
      aborted.push(one);
    }
  } catch (error) {
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    if (!isDenied(cause) && !isDenied(error))
      throw explain(error, store.address, "abort unfinished uploads");
  }
  return aborted;
}
