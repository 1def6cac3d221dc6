import {
  CreateBucketCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
} from "@aws-sdk/client-s3";
import { parseAddress } from "../../storage/address/address.ts";
import { openStore, type Store } from "../../storage/s3/client.ts";
import type { TestStore } from "./servers/store.ts";

/** Makes a bucket with the administrator's key and opens it. */
export async function makeBucket(
  service: TestStore,
  bucket: string,
  prefix = "backup",
): Promise<Store> {
  const store = openBucket(service, bucket, prefix);
  await store.client.send(new CreateBucketCommand({ Bucket: bucket }));
  return store;
}

/** Opens a bucket, whether or not it exists, with the administrator's key or a given one. */
export function openBucket(
  service: TestStore,
  bucket: string,
  prefix = "backup",
  keys: { readonly accessKeyId: string; readonly secretAccessKey: string } = service,
): Store {
  const address = parseAddress({ endpoint: service.endpoint, region: "us-east-1", bucket, prefix });
  return openStore(address, keys);
}

/** Every key in the bucket, up to 1,000. */
export async function keysIn({ client, address }: Store): Promise<string[]> {
  const page = await client.send(new ListObjectsV2Command({ Bucket: address.bucket }));
  return (page.Contents ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [Key]));
}

/** Keys of the uploads that were begun and neither completed nor dropped. */
export async function unfinishedIn({ client, address }: Store): Promise<string[]> {
  const page = await client.send(new ListMultipartUploadsCommand({ Bucket: address.bucket }));
  return (page.Uploads ?? []).flatMap(({ Key }) => (Key === undefined ? [] : [Key]));
}
