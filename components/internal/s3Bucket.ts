import { isDeepStrictEqual } from "node:util";
import {
  AbortMultipartUploadCommand,
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  HeadBucketCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
} from "@aws-sdk/client-s3";
import type * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import type { Store } from "../../storage/s3/client.ts";
import { onBucket, type S3Connection, sameBucket, unless } from "./s3Connection.ts";

export interface BucketInputs {
  readonly connection: S3Connection;
  /** Takes a bucket that exists. */
  readonly adopt: boolean;
  /** Made ready for Object Lock. Only a new bucket is asked for it. */
  readonly objectLock: boolean;
  readonly versioned: boolean;
  readonly forceDestroy: boolean;
}

export async function check(
  _olds: unknown,
  news: BucketInputs,
): Promise<pulumi.dynamic.CheckResult> {
  return { inputs: news };
}

export async function create(inputs: BucketInputs): Promise<pulumi.dynamic.CreateResult> {
  const { connection, adopt, objectLock } = inputs;
  const { bucket } = connection;
  await onBucket(connection, "make or find the name", async (store) => {
    const there = await exists(store);
    if (there && !adopt) {
      throw new Problem(
        `bucket ${bucket} exists already at ${store.address.provider.name}. Set adopt: true to take it over with what is in it, or choose another name.`,
      );
    }
    if (there) return;
    await store.client.send(
      new CreateBucketCommand({
        Bucket: bucket,
        ...(objectLock && { ObjectLockEnabledForBucket: true }),
      }),
    );
  });
  return { id: bucket, outs: inputs };
}

export async function read(
  id: string,
  props: BucketInputs,
): Promise<pulumi.dynamic.ReadResult<BucketInputs>> {
  const there = await onBucket(props.connection, "find the name", exists);
  return there
    ? ({ id, props, inputs: props } as pulumi.dynamic.ReadResult<BucketInputs>)
    : { id: "" };
}

export async function diff(
  _id: string,
  olds: BucketInputs,
  news: BucketInputs,
): Promise<pulumi.dynamic.DiffResult> {
  const moved = !sameBucket(olds.connection, news.connection);
  const changed =
    olds.forceDestroy !== news.forceDestroy ||
    olds.versioned !== news.versioned ||
    !isDeepStrictEqual(olds.connection, news.connection);
  return { changes: moved || changed, replaces: moved ? ["connection"] : [] };
}

export async function update(
  _id: string,
  _olds: BucketInputs,
  news: BucketInputs,
): Promise<pulumi.dynamic.UpdateResult> {
  return { outs: news };
}

/** Deletes nothing that was not meant: without `forceDestroy` the bucket is only forgotten. */
async function remove(_id: string, props: BucketInputs): Promise<void> {
  if (!props.forceDestroy) return;
  await onBucket(props.connection, "delete the contents", async (store) => {
    if (!(await exists(store))) return;
    await dropUploads(store);
    if (props.versioned) await emptyVersions(store);
    else await emptyObjects(store);
    await store.client.send(new DeleteBucketCommand({ Bucket: store.address.bucket }));
  });
}

export { remove as delete };

async function exists({ client, address }: Store): Promise<boolean> {
  const found = await unless(["NotFound", "NoSuchBucket"], () =>
    client.send(new HeadBucketCommand({ Bucket: address.bucket })),
  );
  return found !== undefined;
}

async function dropUploads({ client, address }: Store): Promise<void> {
  const Bucket = address.bucket;
  for (;;) {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket }));
    if (Uploads.length === 0) return;
    for (const { Key, UploadId } of Uploads) {
      await client.send(new AbortMultipartUploadCommand({ Bucket, Key, UploadId }));
    }
  }
}

/** Each round lists anew, so that nothing is skipped while the listing shrinks; a refusal ends it. */
async function emptyVersions({ client, address }: Store): Promise<void> {
  const Bucket = address.bucket;
  for (;;) {
    const page = await client.send(new ListObjectVersionsCommand({ Bucket }));
    const versions = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])];
    if (versions.length === 0) return;
    for (const { Key, VersionId } of versions) {
      // One by one: services differ in the checksum that they want for a list of deletions.
      await client.send(
        new DeleteObjectCommand({ Bucket, Key, VersionId, BypassGovernanceRetention: true }),
      );
    }
  }
}

async function emptyObjects({ client, address }: Store): Promise<void> {
  const Bucket = address.bucket;
  for (;;) {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
    if (Contents.length === 0) return;
    for (const { Key } of Contents) await client.send(new DeleteObjectCommand({ Bucket, Key }));
  }
}
