// tag: cloud
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { IAMClient, ListUsersCommand } from "@aws-sdk/client-iam";
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectsCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketPolicyCommand,
  GetBucketVersioningCommand,
  GetObjectCommand,
  ListBucketsCommand,
  ListObjectVersionsCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type S3Client,
  type S3ServiceException,
} from "@aws-sdk/client-s3";
import { bucketPolicy } from "../../../storage/bucket/bucketPolicy.ts";
import {
  type PolicyDocument,
  readerPolicy,
  writerPolicy,
} from "../../../storage/bucket/iamPolicies.ts";
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
import {
  type Act,
  FORBIDDEN,
  FORBIDDEN_TO_READER,
  FORBIDDEN_TO_WRITER,
  type Scene,
} from "./forbiddenActs.ts";

const Bucket = "rights";
const otherBucket = "of-others";
/** 403 is a refusal. What a service does not know at all nobody may do there, and a key with `..` in it is none for some. */
const REFUSED = [403, 400, 405, 501];
const prefix = "shop/production";
const options = { partBytes: 5 * 1024 * 1024, beforeComplete: async () => {} };
const keyAt = (day: number) =>
  dumpKey(prefix, "app", `2026-11-0${day}T00:00:00`, { compression: "zstd", encryption: "none" });

describe("writerPolicy, enforced by the service,", () => {
  let service: TestStore;
  let admin: Store;
  let writer: Store;
  let appender: Store;
  let reader: Store;
  let stage: Omit<Scene, "s3" | "iam">;

  before(async () => {
    service = await startStore();
    admin = await makeBucket(service, Bucket, prefix);
    writer = await withPolicy("writer", writerPolicy({ bucket: Bucket, prefix, read: true }));
    appender = await withPolicy("appender", writerPolicy({ bucket: Bucket, prefix, read: false }));
    reader = await withPolicy("reader", readerPolicy({ bucket: Bucket, prefix }));
    const other = await iamUser(service, "other", readerPolicy({ bucket: otherBucket, prefix }));
    await admin.client.send(
      new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } }),
    );
    const policy = bucketPolicy({ bucket: Bucket, prefix, tlsOnly: false, denyOverwrite: true });
    await admin.client.send(new PutBucketPolicyCommand({ Bucket, Policy: JSON.stringify(policy) }));
    await put(admin.client, "shop/production-other/x");
    await put(admin.client, "other/x");
    await admin.client.send(new CreateBucketCommand({ Bucket: otherBucket }));
    await put(admin.client, `${prefix}/x`, otherBucket);
    const { VersionId: version = "" } = await put(admin.client, keyAt(1));
    const { UploadId: uploadId = "" } = await admin.client.send(
      new CreateMultipartUploadCommand({ Bucket, Key: keyAt(9) }),
    );
    stage = {
      ...{ bucket: Bucket, otherBucket, prefix, backup: keyAt(1), version, uploadId },
      ...{ otherUser: other.name, otherKeyId: other.key.accessKeyId },
    };
  });
  after(() => service.stop());

  async function withPolicy(user: string, policy: PolicyDocument): Promise<Store> {
    const { key } = await iamUser(service, user, policy);
    return openBucket(service, Bucket, prefix, key);
  }

  /** All that an act might have changed. */
  async function picture() {
    const iam = new IAMClient({
      endpoint: service.endpoint,
      region: "us-east-1",
      credentials: service,
    });
    const none = () => "none";
    const { client } = admin;
    const versions = (bucket: string) =>
      client
        .send(new ListObjectVersionsCommand({ Bucket: bucket }))
        .then(({ Versions, DeleteMarkers }) => [
          Versions?.map(({ Key, VersionId, ETag }) => [Key, VersionId, ETag]),
          DeleteMarkers,
        ]);
    const seen = {
      objects: await versions(Bucket),
      others: await versions(otherBucket),
      buckets: (await client.send(new ListBucketsCommand({}))).Buckets?.map(({ Name }) => Name),
      versioning: (await client.send(new GetBucketVersioningCommand({ Bucket }))).Status,
      rules: await client
        .send(new GetBucketLifecycleConfigurationCommand({ Bucket }))
        .then(({ Rules }) => Rules, none),
      policy: await client
        .send(new GetBucketPolicyCommand({ Bucket }))
        .then(({ Policy }) => Policy, none),
      users: (await iam.send(new ListUsersCommand({}))).Users?.map(({ UserName }) => UserName),
    };
    iam.destroy();
    return seen;
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
    assert.deepEqual(await unfinishedIn(admin), [keyAt(9)]);
  });

  it("lets the append-only key upload and drop, and not read or list", async () => {
    await probeWrite(appender);
    await uploadStream(appender, keyAt(4), source(6), options);
    await putNew(appender, `${prefix}/m4`, "{}", "application/json");
    const failing = { ...options, beforeComplete: () => Promise.reject(new Error("no")) };
    await assert.rejects(uploadStream(appender, keyAt(5), source(6), failing), /^Error: no$/);
    assert.deepEqual(await unfinishedIn(admin), [keyAt(9)]);
    await assert.rejects(openObject(appender, keyAt(4)), /cannot read .*the access key may not/);
    await assert.rejects(listBackups(appender, "app"), /cannot list .*the access key may not/);
  });

  /** What each key may not do, the writer also without the right to read. */
  const KEYS = [
    ["the writer", () => [writer, appender], { ...FORBIDDEN, ...FORBIDDEN_TO_WRITER }, 64],
    ["the reader", () => [reader], { ...FORBIDDEN, ...FORBIDDEN_TO_READER }, 66],
  ] as const;
  for (const [who, keys, acts, count] of KEYS) {
    it(`refuses ${who} all of ${count} acts, and changes nothing by them`, async () => {
      assert.equal(Object.keys(acts).length, count);
      const was = await picture();
      const notRefused: string[] = [];
      for (const key of keys()) {
        const iam = new IAMClient({
          ...{ endpoint: service.endpoint, region: "us-east-1" },
          credentials: key.client.config.credentials,
        });
        for (const [what, act] of Object.entries<Act>(acts)) {
          const scene = { ...stage, s3: key.client, iam };
          const answer = await act(scene).then(
            () => ({ name: "done", status: 200 }),
            (error: S3ServiceException) => ({
              name: error.name,
              status: error.$metadata?.httpStatusCode ?? 0,
            }),
          );
          const { name, status } = answer;
          if (!REFUSED.includes(status)) notRefused.push(`${what}: ${status} ${name}`);
          // Nothing else is wrong with the request.
          else if (status === 400) assert.match(what, /by way of the folder above/);
        }
        iam.destroy();
      }
      assert.deepEqual(notRefused, []);
      assert.deepEqual(await picture(), was);
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

  it("overwrites by hand only where the service does not judge the policy, and then the first version stays", async () => {
    const over = new PutObjectCommand({ Bucket, Key: keyAt(1), Body: "another" });
    const answer = await writer.client.send(over).catch((error: S3ServiceException) => error);
    if (answer instanceof Error) assert.equal(answer.name, "AccessDenied");
    const { backup: Key, version: VersionId } = stage;
    const first = await reader.client.send(new GetObjectCommand({ Bucket, Key, VersionId }));
    assert.equal(await first.Body?.transformToString(), "x");
  });
});

function put(client: S3Client, Key: string, bucket = Bucket) {
  return client.send(new PutObjectCommand({ Bucket: bucket, Key, Body: "x" }));
}

async function* source(mebibytes: number): AsyncGenerator<Buffer> {
  for (let i = 0; i < mebibytes; i++) yield Buffer.alloc(1024 * 1024, i);
}
