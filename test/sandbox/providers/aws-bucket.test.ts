// tag: cloud
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  DeleteBucketLifecycleCommand,
  DeleteBucketPolicyCommand,
  GetBucketEncryptionCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketPolicyCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  PutPublicAccessBlockCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import * as aws from "@pulumi/aws";
import { openProject, type Project } from "../../support/engineProject.ts";
import { startStore, type TestStore } from "../../support/servers/store.ts";

let store: TestStore;
let s3: S3Client;
let project: Project;

before(async () => {
  store = await startStore();
  s3 = new S3Client({
    endpoint: store.endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: store,
  });
  project = await openProject(["aws"], {
    SANDBOX_S3_ENDPOINT: store.endpoint,
    SANDBOX_S3_REGION: "us-east-1",
    SANDBOX_S3_ACCESS_KEY_ID: store.accessKeyId,
    SANDBOX_S3_SECRET_ACCESS_KEY: store.secretAccessKey,
  });
});

after(async () => {
  await project?.close();
  await store?.stop();
});

interface Settings {
  days: number;
  forceDestroy: boolean;
  bucket?: string;
  tags?: Record<string, string>;
}

/** A bucket with all its side resources. */
function program({ days, forceDestroy, ...named }: Settings) {
  return async () => {
    const bucket = new aws.s3.Bucket("Store", { forceDestroy, ...named });
    const of = { bucket: bucket.bucket };
    new aws.s3.BucketVersioning("versioning", {
      ...of,
      versioningConfiguration: { status: "Enabled" },
    });
    new aws.s3.BucketLifecycleConfiguration("lifecycle", {
      ...of,
      rules: [
        {
          id: "expire",
          status: "Enabled",
          filter: { prefix: "app/" },
          expiration: { days },
          noncurrentVersionExpiration: { noncurrentDays: 7 },
          abortIncompleteMultipartUpload: { daysAfterInitiation: 2 },
        },
        {
          id: "a-markers",
          status: "Enabled",
          filter: {},
          expiration: { expiredObjectDeleteMarker: true },
        },
      ],
    });
    new aws.s3.BucketPublicAccessBlock("public", {
      ...of,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    new aws.s3.BucketServerSideEncryptionConfiguration("encryption", {
      ...of,
      rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }],
    });
    new aws.s3.BucketOwnershipControls("ownership", {
      ...of,
      rule: { objectOwnership: "BucketOwnerEnforced" },
    });
    new aws.s3.BucketPolicy("policy", {
      ...of,
      policy: {
        Version: "2012-10-17",
        Statement: [
          {
            Sid: "TlsOnly",
            Effect: "Deny",
            Principal: "*",
            Action: "s3:DeleteObject",
            Resource: [bucket.arn.apply((arn) => `${arn}/*`)],
          },
        ],
      },
    });
    return { name: bucket.bucket, arn: bucket.arn };
  };
}

const first: Settings = { days: 30, forceDestroy: false };
let name = "";

test("a preview makes nothing", async () => {
  const { steps } = await project.preview(program(first));
  assert.equal(Object.values(steps).filter((step) => step === "create").length, 7);
  assert.deepEqual((await s3.send(new ListBucketsCommand({}))).Buckets ?? [], []);
});

test("up makes a bucket under a generated name, with its settings", async () => {
  await project.up(program(first));
  const outputs = await project.outputs();
  name = outputs["name"]?.value;
  assert.match(name, /^store-[0-9a-f]{7}$/);
  assert.equal(outputs["arn"]?.value, `arn:aws:s3:::${name}`);
  const lifecycle = await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket: name }));
  const expire = lifecycle.Rules?.find((rule) => rule.ID === "expire");
  assert.equal(expire?.Expiration?.Days, 30);
  assert.equal(expire?.NoncurrentVersionExpiration?.NoncurrentDays, 7);
  assert.equal(expire?.AbortIncompleteMultipartUpload?.DaysAfterInitiation, 2);
  const encryption = await s3.send(new GetBucketEncryptionCommand({ Bucket: name }));
  assert.equal(
    encryption.ServerSideEncryptionConfiguration?.Rules?.[0]?.ApplyServerSideEncryptionByDefault
      ?.SSEAlgorithm,
    "AES256",
  );
  const policy = await s3.send(new GetBucketPolicyCommand({ Bucket: name }));
  assert.match(policy.Policy ?? "", /TlsOnly/);
});

test("a second up changes nothing, and nothing has drifted", async () => {
  const { steps } = await project.up(program(first));
  assert.deepEqual(new Set(Object.values(steps)), new Set(["same"]));
  assert.equal((await project.drift(program(first))).code, 0);
});

test("a changed setting is an update of its resource alone", async () => {
  const changed = { days: 14, forceDestroy: false, tags: { team: "data" } };
  const { steps } = await project.up(program(changed));
  const outputs = await project.outputs();
  assert.equal(steps["lifecycle"], "update");
  assert.equal(steps["Store"], "update");
  assert.equal(steps["versioning"], "same");
  assert.equal(outputs["name"]?.value, name);
  await project.up(program(first));
});

test("drift made by hand is seen, named, and put back", async () => {
  const rules = (await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket: name }))).Rules;
  await s3.send(
    new PutBucketLifecycleConfigurationCommand({
      Bucket: name,
      LifecycleConfiguration: {
        Rules: rules?.map((rule) =>
          rule.ID === "expire" ? { ...rule, Expiration: { Days: 3 } } : rule,
        ),
      },
    }),
  );
  await s3.send(
    new PutBucketVersioningCommand({
      Bucket: name,
      VersioningConfiguration: { Status: "Suspended" },
    }),
  );
  await s3.send(
    new PutPublicAccessBlockCommand({
      Bucket: name,
      PublicAccessBlockConfiguration: { BlockPublicAcls: false, BlockPublicPolicy: true },
    }),
  );
  await s3.send(new DeleteBucketPolicyCommand({ Bucket: name }));
  const { code, steps, diffs } = await project.drift(program(first));
  assert.equal(code, 7);
  assert.equal(steps["lifecycle"], "update");
  assert.deepEqual(diffs["lifecycle"], ["rules[0].expiration.days"]);
  assert.deepEqual(diffs["versioning"], ["versioningConfiguration.status"]);
  assert.deepEqual(diffs["public"], [
    "blockPublicAcls",
    "ignorePublicAcls",
    "restrictPublicBuckets",
  ]);
  assert.equal(steps["policy"], "create");
  assert.equal(steps["Store"], "same");

  await project.up(program(first), { refresh: true });
  const healed = await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket: name }));
  assert.equal(healed.Rules?.find((rule) => rule.ID === "expire")?.Expiration?.Days, 30);
  assert.equal((await project.drift(program(first))).code, 0);
});

test("a removed lifecycle is made again", async () => {
  await s3.send(new DeleteBucketLifecycleCommand({ Bucket: name }));
  const { code, steps } = await project.drift(program(first));
  assert.equal(code, 7);
  assert.equal(steps["lifecycle"], "create");
});

test("another name replaces the bucket and what hangs on it", async () => {
  const renamed = { ...first, bucket: "chosen-by-hand" };
  const { steps, diffs } = await project.preview(program(renamed));
  assert.equal(steps["Store"], "replace");
  assert.deepEqual(diffs["Store"], ["bucket"]);
  assert.equal(steps["lifecycle"], "replace");
});

test("a bucket with objects refuses to go until forceDestroy is set", async () => {
  await s3.send(new PutObjectCommand({ Bucket: name, Key: "app/one", Body: "1" }));
  const error = await project.failure(async () => {});
  assert.match(error, /BucketNotEmpty/);
  await s3.send(new HeadBucketCommand({ Bucket: name }));
  const forced = program({ ...first, forceDestroy: true });
  await project.up(forced);
  // Versions and delete markers have to go as well.
  await s3.send(new PutObjectCommand({ Bucket: name, Key: "app/one", Body: "2" }));
  await project.destroy(forced);
  await assert.rejects(s3.send(new HeadBucketCommand({ Bucket: name })), { name: "NotFound" });
});
