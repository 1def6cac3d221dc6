import { explain, isTaken } from "../s3/errors.ts";
import { type ObjectStore, readWhole } from "../s3/objectStore.ts";

/**
 * Writes a small object under a key that must not exist yet. When the service says that it exists, but with exactly
 * these bytes, an earlier try of this same write had reached it after all, and that counts as written.
 * @throws Problem when the key holds something else, or the write fails
 */
export async function putNew(
  store: ObjectStore,
  key: string,
  body: string | Buffer,
  contentType: string,
): Promise<void> {
  const bytes = Buffer.from(body);
  try {
    await store.putNew(key, bytes, contentType);
  } catch (error) {
    if (isTaken(error) && (await holds(store, key, bytes))) return;
    throw explain(error, store.address, `write ${key}`);
  }
}

async function holds(store: ObjectStore, key: string, bytes: Buffer): Promise<boolean> {
  try {
    return bytes.equals(await readWhole(await store.get(key)));
  } catch {
    // Whatever hinders the look (no right to read, for one), the refused write is the error to report.
    return false;
  }
}
