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

const DEPLOYER = "application_id:11111111-1111-1111-1111-111111111111";
const SCALEWAY = {
  name: "shop-backups",
  region: "fr-par",
  projectId: "22222222-2222-2222-2222-222222222222",
  administrators: [DEPLOYER],
};
const atScaleway = (changes: object = {}) => ({
  scalewayBucket: JSON.stringify({ ...SCALEWAY, ...changes }),
});

test("a bucket at Scaleway is made with a key of its own, as the configuration says", async () => {
  const resources = await declared({
    ...atScaleway(),
    prefix: "shop",
    retentionDays: "60",
    noncurrentDays: "21",
    lock: '{ "mode": "governance", "days": 7 }',
    tags: '{ "team": "data" }',
    keyAccess: "append-only",
    rotateAfter: "2026-06",
  });
  const bucket = inputs(resources, "scaleway:object/bucket:Bucket");
  assert.deepEqual(
    [bucket["name"], bucket["region"], bucket["projectId"], bucket["objectLockEnabled"]],
    ["shop-backups", "fr-par", SCALEWAY.projectId, true],
  );
  assert.deepEqual(bucket["tags"], { team: "data" });
  assert.match(
    JSON.stringify(bucket["lifecycleRules"]),
    /"expiration":\{"days":60\}.*"noncurrentDays":21/,
  );
  const policy = String(inputs(resources, "scaleway:object/bucketPolicy:BucketPolicy")["policy"]);
  assert.match(policy, new RegExp(`"SCW":\\["${DEPLOYER}"\\]`));
  assert.doesNotMatch(policy, /s3:GetObject/, "append-only");
  const probe = inputs(resources, ":KeyProbe");
  assert.deepEqual(
    [probe["endpoint"], probe["bucket"], probe["access"], probe["prefix"]],
    ["https://s3.fr-par.scw.cloud", "shop-backups", "append-only", "shop"],
  );
  const secrets = inputs(resources, ":SecretsBlock");
  assert.match(JSON.stringify(secrets), /SCWMADEUP00000000000/, "the container has that key");
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
  "a bucket at Scaleway without a project": [
    atScaleway({ projectId: undefined }),
    /scalewayBucket has no projectId\. Set it: pulumi config set --path scalewayBucket\.projectId PROJECTID/,
  ],
  "a bucket at Scaleway without anybody who keeps it": [
    atScaleway({ administrators: undefined }),
    /postgres-backup:scalewayBucket\.administrators is null\. Give a list with at least/,
  ],
  "an administrator of no known form": [
    atScaleway({ administrators: ["me"] }),
    /postgres-backup:scalewayBucket\.administrators: "me" is no principal of Scaleway/,
  ],
  "a region that Scaleway has not": [
    atScaleway({ region: "eu-west-3" }),
    /^kamal-postgres-backup:scalewayBucket\.region "eu-west-3" is none of Scaleway's/,
  ],
  "tiers at Scaleway without a folder": [
    { ...atScaleway(), retentionTiers: '{ "daily": 7, "weekly": 35, "monthly": 365 }' },
    /kamal-postgres-backup:prefix: give the folder/,
  ],
  "a retention at Scaleway that leaves days without a backup": [
    { ...atScaleway(), schedule: "0 3 1 * *", retentionDays: "7" },
    /kamal-postgres-backup:retentionDays|kamal-postgres-backup:schedule and/,
  ],
  "keys of one's own beside a bucket that makes them": [
    { ...atScaleway(), accessKeyId: "SCWEXAMPLE" },
    /accessKeyId does nothing beside kamal-postgres-backup:scalewayBucket\./,
  ],
  "two buckets at once": [
    { ...COMPATIBLE, ...atScaleway() },
    /scalewayBucket does nothing beside kamal-postgres-backup:compatibleBucket\./,
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
    ["lock", "tags", "compatibleBucket", "scalewayBucket", "noncurrentDays"].map((setting) => [
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
  await declared({ ...atScaleway(), kmsKey: "", importBucket: "", s3Endpoint: "" });
});
