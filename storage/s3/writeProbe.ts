import { randomUUID } from "node:crypto";
import { explain } from "./errors.ts";
import type { ObjectStore } from "./objectStore.ts";

/**
 * Proves host, bucket, key, secret, clock and the right to write under the folder, by beginning an upload and dropping
 * it. Leaves nothing behind and needs no right to delete.
 * @throws Problem that names the cause
 */
export async function probeWrite(store: ObjectStore): Promise<void> {
  const { address } = store;
  try {
    const upload = await store.startUpload(`${address.prefix}/.probe-${randomUUID()}`);
    await upload.abort();
  } catch (error) {
    throw explain(error, address, `write a probe to ${address.bucket}/${address.prefix}`);
  }
}
