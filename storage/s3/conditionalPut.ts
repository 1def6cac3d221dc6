import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import type { Store } from "./client.ts";
import { explain, isTaken } from "./errors.ts";

/**
 * Writes a small object under a key that must not exist yet. When the service says that it exists, but with exactly
 * these bytes, an earlier try of this same write had reached it after all, and that counts as written.
 * @throws Problem when the key holds something else, or the write fails
 */
export async function putNew(
  store: Store,
  key: string,
  body: string | Buffer,
  contentType: string,
): Promise<void> {
  const bytes = Buffer.from(body);
  const { client, address } = store;
  try {
    await client.send(
      new PutObjectCommand({
        Bucket: address.bucket,
        Key: key,
        Body: bytes,
        ContentType: contentType,
        ...(address.provider.conditionalWrites && { IfNoneMatch: "*" }),
      }),
    );
  } catch (error) {
    if (isTaken(error) && (await holds(store, key, bytes))) return;
    throw explain(error, address, `write ${key}`);
  }
}

async function holds(store: Store, key: string, bytes: Buffer): Promise<boolean> {
  try {
    const answer = await store.client.send(
      new GetObjectCommand({ Bucket: store.address.bucket, Key: key }),
    );
    const stored = await answer.Body?.transformToByteArray();
    return stored !== undefined && bytes.equals(stored);
  } catch {
    // Whatever hinders the look (no right to read, for one), the refused write is the error to report.
    return false;
  }
}
