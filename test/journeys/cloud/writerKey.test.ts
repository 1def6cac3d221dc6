import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  DeleteBucketCommand,
  DeleteBucketLifecycleCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { docker } from "../../../sandbox/host/docker.ts";
import { administrator, outputsOf } from "../../../sandbox/stack/actors.ts";
import { begin, type Journey } from "../../support/journey.ts";

let journey: Journey;
let writer: S3Client;
let Bucket: string;
let prefix: string;
let canaryKey: string;

before(async () => {
  journey = await begin();
  const { container, location } = await outputsOf(journey.stack);
  Bucket = location.bucket;
  prefix = location.prefix;
  canaryKey = `${prefix}/canary-${Date.now()}`;
  const { stdout } = await docker([
    "container",
    "inspect",
    "-f",
    "{{json .Config.Env}}",
    container,
  ]);
  const env = Object.fromEntries(
    (JSON.parse(stdout) as string[]).map((line) => line.split(/=(.*)/s)),
  );
  writer = new S3Client({
    endpoint: journey.world.store.endpoint,
    region: journey.world.store.region,
    forcePathStyle: true,
    credentials: {
      accessKeyId: env["S3_ACCESS_KEY_ID"],
      secretAccessKey: env["S3_SECRET_ACCESS_KEY"],
    },
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
  await administrator(journey.world).send(
    new PutObjectCommand({ Bucket, Key: "elsewhere/secret", Body: "x" }),
  );
});
after(async () => {
  const admin = administrator(journey.world);
  await admin.send(new DeleteObjectCommand({ Bucket, Key: canaryKey }));
  await admin.send(new DeleteObjectCommand({ Bucket, Key: "elsewhere/secret" }));
  await journey.stack.close();
});

test("the container's key can write, read and list under its prefix", async () => {
  await writer.send(new PutObjectCommand({ Bucket, Key: canaryKey, Body: "still here" }));
  const listed = await writer.send(
    new ListObjectsV2Command({ Bucket, Prefix: `${prefix}/canary-` }),
  );
  assert.ok(listed.Contents?.some((object) => object.Key === canaryKey));
});

const rules = {
  Rules: [{ ID: "expire", Status: "Enabled" as const, Filter: {}, Expiration: { Days: 1 } }],
};
const refusals: Record<string, () => Promise<unknown>> = {
  "delete a backup": () => writer.send(new DeleteObjectCommand({ Bucket, Key: canaryKey })),
  "write outside its prefix": () =>
    writer.send(new PutObjectCommand({ Bucket, Key: "elsewhere/x", Body: "x" })),
  "read outside its prefix": () =>
    writer.send(new GetObjectCommand({ Bucket, Key: "elsewhere/secret" })),
  "list outside its prefix": () =>
    writer.send(new ListObjectsV2Command({ Bucket, Prefix: "elsewhere/" })),
  "list the whole bucket": () => writer.send(new ListObjectsV2Command({ Bucket })),
  "change the lifecycle": () =>
    writer.send(
      new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: rules }),
    ),
  "delete the lifecycle": () => writer.send(new DeleteBucketLifecycleCommand({ Bucket })),
  "suspend versioning": () =>
    writer.send(
      new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Suspended" } }),
    ),
  "change the policy": () => writer.send(new PutBucketPolicyCommand({ Bucket, Policy: "{}" })),
  "delete the bucket": () => writer.send(new DeleteBucketCommand({ Bucket })),
};
for (const [what, attempt] of Object.entries(refusals)) {
  test(`the service refuses it to ${what}`, async () => {
    await assert.rejects(attempt, (error: Error & { $metadata?: { httpStatusCode?: number } }) => {
      assert.equal(error.$metadata?.httpStatusCode, 403, `${error.name}: ${error.message}`);
      return true;
    });
  });
}

test("after all of that the object is still the same", async () => {
  const object = await writer.send(new GetObjectCommand({ Bucket, Key: canaryKey }));
  assert.equal(await object.Body?.transformToString(), "still here");
});
