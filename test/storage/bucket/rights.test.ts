// tag: cloud
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  CopyObjectCommand,
  DeleteBucketCommand,
  DeleteBucketLifecycleCommand,
  DeleteBucketPolicyCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectAclCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";

import { writerPolicy } from "../../../storage/bucket/iamPolicies.ts";
import { listBackups } from "../../../storage/catalogue/catalogue.ts";
import { dumpKey } from "../../../storage/catalogue/objectKeys.ts";
import type { Store } from "../../../storage/s3/client.ts";
import { openObject } from "../../../storage/s3/download.ts";
import { probeWrite } from "../../../storage/s3/writeProbe.ts";
import { putNew } from "../../../storage/upload/conditionalPut.ts";
import { uploadStream } from "../../../storage/upload/upload.ts";
import { makeBucket, openBucket, unfinishedIn } from "../../support/bucket.ts";
import { iamUser } from "../../support/iamUser.ts";
import { startStore, type TestStore } from "../../support/servers/store.ts";

const Bucket = "rights";
const prefix = "shop/production";
const options = { partBytes: 5 * 1024 * 1024, beforeComplete: async () => {} };
const keyAt = (day: number) =>
  dumpKey(prefix, "app", `2026-11-0${day}T00:00:00`, { compression: "zstd", encryption: "none" });

describe("writerPolicy, enforced by the service,", () => {
  let service: TestStore;
  let admin: Store;
  let writer: Store;
  let appender: Store;

  before(async () => {
    service = await startStore();
    admin = await makeBucket(service, Bucket, prefix);
    writer = await withPolicy("writer", true);
    appender = await withPolicy("appender", false);
    await put(admin.client, keyAt(1));
    await put(admin.client, "shop/production-other/x");
    await put(admin.client, "other/x");
  });
  after(() => service.stop());

  async function withPolicy(user: string, read: boolean): Promise<Store> {
    const { key } = await iamUser(service, user, writerPolicy({ bucket: Bucket, prefix, read }));
    return openBucket(service, Bucket, prefix, key);
  }

  it("lets the writer probe, upload, list and read below its folder", async () => {
    await probeWrite(writer);
    await uploadStream(writer, keyAt(2), source(11), options);
    await putNew(writer, `${prefix}/m`, "{}", "application/json");
    assert.deepEqual(
      (await listBackups(writer, "app")).map(({ key }) => key),
      [keyAt(2), keyAt(1)],
    );
    const { stream, bytes } = await openObject(writer, keyAt(2));
    assert.equal(Buffer.concat(await stream.toArray()).length, bytes);
  });

  it("lets the writer drop its own upload", async () => {
    const failing = { ...options, beforeComplete: () => Promise.reject(new Error("no")) };
    await assert.rejects(uploadStream(writer, keyAt(3), source(11), failing), /^Error: no$/);
    assert.deepEqual(await unfinishedIn(admin), []);
  });

  it("lets the append-only key upload and drop, and not read or list", async () => {
    await probeWrite(appender);
    await uploadStream(appender, keyAt(4), source(6), options);
    await putNew(appender, `${prefix}/m4`, "{}", "application/json");
    const failing = { ...options, beforeComplete: () => Promise.reject(new Error("no")) };
    await assert.rejects(uploadStream(appender, keyAt(5), source(6), failing), /^Error: no$/);
    assert.deepEqual(await unfinishedIn(admin), []);
    await assert.rejects(openObject(appender, keyAt(4)), /cannot read .*the access key may not/);
    await assert.rejects(listBackups(appender, "app"), /cannot list .*the access key may not/);
  });

  const rule = {
    ID: "x",
    Status: "Enabled",
    Filter: { Prefix: "" },
    Expiration: { Days: 1 },
  } as const;
  const open = JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      { Effect: "Allow", Principal: "*", Action: "s3:*", Resource: `arn:aws:s3:::${Bucket}/*` },
    ],
  });
  const forbidden: Record<string, (client: S3Client) => Promise<unknown>> = {
    "delete a backup": (c) => c.send(new DeleteObjectCommand({ Bucket, Key: keyAt(1) })),
    "put outside the folder": (c) => put(c, "other/y"),
    "put into a folder that begins alike": (c) => put(c, "shop/production-other/y"),
    "read outside the folder": (c) => c.send(new GetObjectCommand({ Bucket, Key: "other/x" })),
    "copy from outside into the folder": (c) =>
      c.send(
        new CopyObjectCommand({ Bucket, Key: `${prefix}/c`, CopySource: `${Bucket}/other/x` }),
      ),
    "list the whole bucket": (c) => c.send(new ListObjectsV2Command({ Bucket })),
    "list another folder": (c) => c.send(new ListObjectsV2Command({ Bucket, Prefix: "other/" })),
    "list a folder that begins alike": (c) =>
      c.send(new ListObjectsV2Command({ Bucket, Prefix: "shop/production-other/" })),
    "write a lifecycle": (c) =>
      c.send(
        new PutBucketLifecycleConfigurationCommand({
          Bucket,
          LifecycleConfiguration: { Rules: [rule] },
        }),
      ),
    "delete the lifecycle": (c) => c.send(new DeleteBucketLifecycleCommand({ Bucket })),
    "suspend versioning": (c) =>
      c.send(
        new PutBucketVersioningCommand({
          Bucket,
          VersioningConfiguration: { Status: "Suspended" },
        }),
      ),
    "write a bucket policy": (c) => c.send(new PutBucketPolicyCommand({ Bucket, Policy: open })),
    "delete the bucket policy": (c) => c.send(new DeleteBucketPolicyCommand({ Bucket })),
    "make an object public": (c) =>
      c.send(new PutObjectAclCommand({ Bucket, Key: keyAt(1), ACL: "public-read" })),
    "delete the bucket": (c) => c.send(new DeleteBucketCommand({ Bucket })),
  };
  for (const [name, act] of Object.entries(forbidden)) {
    it(`does not let it ${name}`, async () => {
      for (const { client } of [writer, appender]) {
        await assert.rejects(act(client), (error: Error) => {
          assert.equal(error.name, "AccessDenied", error.stack);
          return true;
        });
      }
    });
  }

  it("does not let it delete many at once", async () => {
    const { Errors, Deleted } = await writer.client
      .send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: [{ Key: keyAt(1) }] } }))
      .catch((error: Error) => ({ Errors: [{ Code: error.name }], Deleted: undefined }));
    assert.deepEqual([Errors?.map(({ Code }) => Code), Deleted], [["AccessDenied"], undefined]);
    await admin.client.send(new GetObjectCommand({ Bucket, Key: keyAt(1) }));
  });

  it("does not let our own code overwrite", async () => {
    await assert.rejects(uploadStream(writer, keyAt(1), source(1), options), /exists already/);
    await assert.rejects(uploadStream(appender, keyAt(1), source(1), options), /exists already/);
  });
});

async function put(client: S3Client, Key: string): Promise<void> {
  await client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
}

async function* source(mebibytes: number): AsyncGenerator<Buffer> {
  for (let i = 0; i < mebibytes; i++) yield Buffer.alloc(1024 * 1024, i);
}
