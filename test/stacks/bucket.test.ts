import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { declareBackup } from "../../stacks/program.ts";
import { DEPLOY, layOutApplication, SECRETS } from "../components/application.ts";
import { declare, inputs, isSecret } from "../components/mocks.ts";

/** The kinds of buckets that a stack's configuration can say. */
let folder: string;
before(() => {
  folder = layOutApplication(DEPLOY, SECRETS);
});
after(() => rmSync(folder, { recursive: true }));

function declared(settings: Record<string, string>) {
  const config = {
    kamalConfig: join(folder, "config/deploy.yml"),
    database: "shop_production",
    hostKeys: '{ "192.0.2.10": "ssh-ed25519 AAAA" }',
    sshPrivateKey: "the-private-key\n",
    build: "host",
    ...settings,
  };
  return declare(false, () => {
    for (const [name, value] of Object.entries(config)) {
      pulumi.runtime.setConfig(`kamal-postgres-backup:${name}`, value);
    }
    return [declareBackup().outputs];
  }).finally(() => pulumi.runtime.setAllConfig({}));
}

const KEYS = {
  administratorKeyId: "ADMIN",
  administratorSecretKey: "the-administrator's-secret",
  accessKeyId: "WRITER",
  secretAccessKey: "the-writer's-secret",
};
const MINIO = '"name": "shop-backups", "endpoint": "https://minio.example.com", "region": "eu-1"';

test("a bucket at another service is made there, with lock, tags and the container's own keys", async () => {
  const resources = await declared({
    ...KEYS,
    compatibleBucket: `{ ${MINIO}, "adopt": true }`,
    prefix: "shop",
    retentionDays: "60",
    noncurrentDays: "21",
    lock: '{ "mode": "governance", "days": 14 }',
    tags: '{ "team": "data" }',
  });
  const bucket = inputs(resources, ":S3Bucket");
  assert.equal(bucket["adopt"], true);
  assert.ok(isSecret(bucket["connection"]));
  assert.match(JSON.stringify(bucket["connection"]), /ADMIN.*minio\.example\.com/);
  assert.deepEqual(inputs(resources, ":S3BucketTagging")["tags"], { team: "data" });
  const { mode, days } = inputs(resources, ":S3BucketObjectLock");
  assert.deepEqual([mode, days], ["GOVERNANCE", 14]);
  const { rules } = inputs(resources, ":S3BucketLifecycleConfiguration");
  const [expiry] = rules as { expirationDays: number; noncurrentDays: number; prefix: string }[];
  assert.deepEqual(
    [expiry?.expirationDays, expiry?.noncurrentDays, expiry?.prefix],
    [60, 21, "shop/"],
  );
  const secrets = JSON.stringify(inputs(resources, ":SecretsBlock"));
  assert.match(secrets, /WRITER/);
  assert.doesNotMatch(secrets, /ADMIN/);
});

test("a bucket on AWS is taken over, encrypted, locked, moved and tagged as the configuration says", async () => {
  const resources = await declared({
    importBucket: "shop-backups",
    prefix: "shop",
    kmsKey: "arn:aws:kms:eu-west-3:1:key/2",
    denyOverwrite: "false",
    lock: '{ "mode": "governance", "days": 14 }',
    transitions: '[{ "days": 30, "storageClass": "STANDARD_IA" }]',
    tags: '{ "team": "data" }',
    retentionDays: "90",
  });
  const of = (type: string) => JSON.stringify(inputs(resources, type));
  assert.match(of("aws:s3/bucket:Bucket"), /"bucket":"shop-backups".*"team":"data"/);
  assert.match(of("BucketServerSideEncryptionConfiguration"), /arn:aws:kms:eu-west-3:1:key\/2/);
  assert.match(
    of("BucketObjectLockConfiguration"),
    /"days":14,"mode":"GOVERNANCE"|"mode":"GOVERNANCE","days":14/,
  );
  assert.match(of("BucketLifecycleConfiguration"), /STANDARD_IA/);
  assert.doesNotMatch(of("aws:s3/bucketPolicy:BucketPolicy"), /if-none-match/i);
});

const COMPATIBLE = { ...KEYS, compatibleBucket: `{ ${MINIO} }` };
const EXISTING = { ...KEYS, existingBucket: `{ ${MINIO} }` };
const key = "kamal-postgres-backup:";
const REFUSED: Record<string, [Record<string, string>, RegExp]> = {
  "a lock that is a number": [
    { lock: "14" },
    /lock is 14\. Give its mode, governance or compliance/,
  ],
  "a lock of no known mode": [
    { lock: '{ "mode": "strict", "days": 14 }' },
    /lock is \{"mode":"strict"/,
  ],
  "a compliance that is not meant": [
    { lock: '{ "mode": "compliance", "days": 14 }' },
    /lock: in compliance mode .*acceptCompliance: true/,
  ],
  "transitions that are no list": [
    { transitions: '{ "days": 30 }' },
    /transitions is \{"days":30\}\. Give a list/,
  ],
  "a tag that is a number": [
    { tags: '{ "year": 2026 }' },
    /tags\.year is 2026\. Give a text, in quotes/,
  ],
  "a bucket elsewhere without its address": [
    { ...KEYS, compatibleBucket: '{ "name": "shop-backups", "region": "eu-1" }' },
    /compatibleBucket has no endpoint\. Set it: pulumi config set --path compatibleBucket\.endpoint ENDPOINT/,
  ],
  "its address in a wrong form": [
    { ...KEYS, compatibleBucket: `{ ${MINIO.replace("https", "ftp")} }` },
    /compatibleBucket\.endpoint "ftp:\/\/minio\.example\.com" has no scheme/,
  ],
  "a bucket that is taken over, without a folder": [
    { importBucket: "shop-backups" },
    /kamal-postgres-backup:prefix: give the folder .*: kamal-postgres-backup:importBucket takes a bucket/,
  ],
  "adopt as a word": [
    { ...KEYS, compatibleBucket: `{ ${MINIO}, "adopt": "yes" }` },
    /compatibleBucket\.adopt is "yes"\. Give true or false/,
  ],
  "no keys for setting it up": [
    { compatibleBucket: `{ ${MINIO} }` },
    /Missing required configuration variable 'kamal-postgres-backup:administratorKeyId'/,
  ],
  ...Object.fromEntries(
    [
      ["kmsKey", "arn:aws:kms:eu-west-3:1:key/2"],
      ["importBucket", "shop-backups"],
      ["transitions", "[]"],
      ["s3Endpoint", "https://s3.example.com"],
    ].map(([setting, value]) => [
      `${setting} beside a bucket elsewhere`,
      [
        { ...COMPATIBLE, [setting as string]: value as string },
        new RegExp(
          `${setting} does nothing beside ${key}compatibleBucket\\. .*config rm ${setting}`,
        ),
      ],
    ]),
  ),
  ...Object.fromEntries(
    ["lock", "tags", "compatibleBucket", "noncurrentDays"].map((setting) => [
      `${setting} beside a bucket that exists`,
      [
        { ...EXISTING, [setting]: setting === "noncurrentDays" ? "7" : '{ "a": "b" }' },
        new RegExp(`${setting} does nothing beside ${key}existingBucket`),
      ],
    ]),
  ),
};
for (const [what, [settings, sentence]] of Object.entries(REFUSED)) {
  test(`refused: ${what}`, () =>
    assert.rejects(declared(settings), (error: Error) => {
      assert.match(error.message, sentence);
      return true;
    }));
}

test("what is left at its default does not stand in the way of a bucket that exists", async () => {
  await declared({ ...EXISTING, noncurrentDays: "0", kmsKey: "", importBucket: "" });
  await declared({ ...COMPATIBLE, kmsKey: "", importBucket: "", s3Endpoint: "" });
});
