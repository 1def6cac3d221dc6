// tag: cloud
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  CreateBucketCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketVersioningCommand,
  ListMultipartUploadsCommand,
  ListObjectVersionsCommand,
  PutBucketLifecycleConfigurationCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import {
  type PolicyDocument,
  readerPolicy,
  writerPolicy,
} from "../../../storage/bucket/iamPolicies.ts";

import { type ExcessRight, type KeyAccess, probeKey } from "../../../storage/bucket/probeKey.ts";
import { openBucket } from "../../support/bucket.ts";
import { iamUser } from "../../support/iamUser.ts";
import { startStore, type TestStore } from "../../support/servers/store.ts";

const prefix = "shop/production";
const PLAIN = "plain-bucket";
const VERSIONED = "versioned-bucket";
const RULES = {
  Rules: [
    {
      ID: "of-the-user",
      Status: "Enabled" as const,
      Filter: { Prefix: "logs/" },
      Expiration: { Days: 3 },
    },
  ],
};

let service: TestStore;
let admin: S3Client;

before(async () => {
  service = await startStore();
  const client = { endpoint: service.endpoint, region: "us-east-1", credentials: service };
  admin = new S3Client({ ...client, forcePathStyle: true });
  for (const Bucket of [PLAIN, VERSIONED]) {
    await admin.send(new CreateBucketCommand({ Bucket }));
    await admin.send(
      new PutBucketLifecycleConfigurationCommand({ Bucket, LifecycleConfiguration: RULES }),
    );
  }
  await admin.send(
    new PutBucketVersioningCommand({
      Bucket: VERSIONED,
      VersioningConfiguration: { Status: "Enabled" },
    }),
  );
  for (const Bucket of [PLAIN, VERSIONED]) {
    await admin.send(new PutObjectCommand({ Bucket, Key: `${prefix}/a backup`, Body: "kept" }));
  }
});
after(() => service?.stop());

let users = 0;

async function keyWith(document: PolicyDocument) {
  return (await iamUser(service, `user-${users++}`, document)).key;
}

/** A key with these rights in the whole bucket. */
function wide(bucket: string, ...Action: string[]): PolicyDocument {
  const statement = (Sid: string, Resource: string) =>
    ({ Sid, Effect: "Allow", Action, Resource }) as const;
  return {
    Version: "2012-10-17",
    Statement: [
      statement("Bucket", `arn:aws:s3:::${bucket}`),
      statement("Objects", `arn:aws:s3:::${bucket}/*`),
    ],
  };
}

async function probed(bucket: string, document: PolicyDocument, access: KeyAccess) {
  return probeKey(openBucket(service, bucket, prefix, await keyWith(document)), access);
}

const READ = ["s3:PutObject", "s3:AbortMultipartUpload", "s3:GetObject", "s3:ListBucket"];
const ADD = ["s3:PutObject", "s3:AbortMultipartUpload"];

interface Row {
  readonly what: string;
  readonly rights: (bucket: string) => PolicyDocument;
  readonly access: KeyAccess;
  readonly plain: readonly ExcessRight[];
  readonly versioned: readonly ExcessRight[];
}

/** This store does not judge If-None-Match in a policy, so that every key that may add may overwrite. */
const same = (...excess: ExcessRight[]) => {
  const found = ordered([...excess, "overwrite"]);
  return { plain: found, versioned: found };
};
const ORDER = ["read", "delete", "overwrite", "lifecycle", "versioning", "policy"];
const ordered = (excess: ExcessRight[]) =>
  excess.toSorted((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b));
const FOUND: readonly Row[] = [
  {
    what: "our own policy, restorable",
    rights: (bucket) => writerPolicy({ bucket, prefix, read: true }),
    access: "restorable",
    ...same(),
  },
  {
    what: "our own policy, append-only",
    rights: (bucket) => writerPolicy({ bucket, prefix, read: false }),
    access: "append-only",
    ...same(),
  },
  {
    what: "a reading key that was declared append-only",
    rights: (bucket) => wide(bucket, ...READ),
    access: "append-only",
    ...same("read"),
  },
  {
    what: "a key that may delete versions",
    rights: (bucket) => wide(bucket, ...READ, "s3:DeleteObjectVersion"),
    access: "restorable",
    ...same("delete"),
  },
  {
    what: "a key that may delete by name: told where no marker would be left, and there alone it deletes for good",
    rights: (bucket) => wide(bucket, ...READ, "s3:DeleteObject", "s3:GetBucketVersioning"),
    access: "restorable",
    plain: ["delete", "overwrite"],
    versioned: ["overwrite"],
  },
  {
    // The store's IAM API does not know s3:PutLifecycleConfiguration alone.
    what: "a key that may put every setting, the expiry rules among them",
    rights: (bucket) => wide(bucket, ...READ, "s3:Put*"),
    access: "restorable",
    ...same("lifecycle", "versioning", "policy"),
  },
  {
    what: "a key that may suspend versioning",
    rights: (bucket) => wide(bucket, ...READ, "s3:PutBucketVersioning"),
    access: "restorable",
    ...same("versioning"),
  },
  {
    what: "a key that may change the policy",
    rights: (bucket) => wide(bucket, ...READ, "s3:PutBucketPolicy"),
    access: "restorable",
    ...same("policy"),
  },
  {
    what: "a key that may do anything",
    rights: (bucket) => wide(bucket, "s3:*"),
    access: "append-only",
    ...same("read", "delete", "lifecycle", "versioning", "policy"),
  },
];
for (const { what, rights, access, plain, versioned } of FOUND) {
  test(`found out: ${what}`, async () => {
    assert.deepEqual(await probed(PLAIN, rights(PLAIN), access), plain);
    assert.deepEqual(await probed(VERSIONED, rights(VERSIONED), access), versioned);
  });
}

const UNFIT: readonly [what: string, rights: PolicyDocument, sentence: RegExp][] = [
  ["a key without rights", wide(PLAIN, "s3:GetBucketVersioning"), /may not do this/],
  ["a reader's key", readerPolicy({ bucket: PLAIN, prefix }), /may not do this/],
  ["a key of another folder", writerPolicy({ bucket: PLAIN, prefix: "x", read: true }), /may not/],
  ["a key that cannot read", wide(PLAIN, ...ADD), /not list and read them.*append-only/],
  ["a key that cannot list", wide(PLAIN, ...ADD, "s3:GetObject"), /not list and read them/],
  ["a key that only lists", wide(PLAIN, ...ADD, "s3:ListBucket"), /not list and read them/],
];
for (const [what, rights, sentence] of UNFIT) {
  test(`refused for a restorable backup: ${what}`, async () => {
    await assert.rejects(probed(PLAIN, rights, "restorable"), {
      name: "Problem",
      message: sentence,
    });
  });
}

test("a key that was deleted is named as the cause", async () => {
  const gone = { accessKeyId: "never-was", secretAccessKey: "nothing" };
  await assert.rejects(probeKey(openBucket(service, PLAIN, prefix, gone), "append-only"), {
    name: "Problem",
    message: /does not know the access key id/,
  });
});

// The last test, when every kind of key has been tried.
test("all of that left nothing and changed nothing in either bucket", async () => {
  for (const Bucket of [PLAIN, VERSIONED]) {
    const { Versions = [], DeleteMarkers = [] } = await admin.send(
      new ListObjectVersionsCommand({ Bucket }),
    );
    assert.deepEqual(
      Versions.map(({ Key }) => Key),
      [`${prefix}/a backup`],
    );
    assert.deepEqual(DeleteMarkers, []);
    const { Uploads = [] } = await admin.send(new ListMultipartUploadsCommand({ Bucket }));
    assert.deepEqual(Uploads, []);
    const { Rules } = await admin.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
    assert.deepEqual(
      Rules?.map(({ ID, Expiration }) => [ID, Expiration?.Days]),
      [["of-the-user", 3]],
    );
    const { Status } = await admin.send(new GetBucketVersioningCommand({ Bucket }));
    assert.equal(Status, Bucket === VERSIONED ? "Enabled" : undefined);
  }
});
