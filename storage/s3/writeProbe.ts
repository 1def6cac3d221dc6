import { randomUUID } from "node:crypto";
import { AbortMultipartUploadCommand, CreateMultipartUploadCommand } from "@aws-sdk/client-s3";
import type { Store } from "./client.ts";
import { explain, notS3 } from "./errors.ts";

/**
 * Proves host, bucket, key, secret, clock and the right to write under the folder, by beginning an upload and dropping
 * it. Leaves nothing behind and needs no right to delete.
 * @throws Problem that names the cause
 */
export async function probeWrite(store: Store): Promise<void> {
  const { client, address } = store;
  const target = { Bucket: address.bucket, Key: `${address.prefix}/.probe-${randomUUID()}` };
  try {
    const { UploadId } = await client.send(new CreateMultipartUploadCommand(target));
    if (UploadId === undefined) throw notS3(address, "write a probe");
    await client.send(new AbortMultipartUploadCommand({ ...target, UploadId }));
  } catch (error) {
    throw explain(error, address, `write a probe to ${address.bucket}/${address.prefix}`);
  }
}
