// tag: cloud
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { PostgresBackup, type PostgresBackupArgs, Retention } from "../../../components/index.ts";
import {
  ScalewayBackupBucket,
  type ScalewayBackupBucketArgs,
} from "../../../components/scaleway.ts";
import { deployYml, layOutApplication, SECRETS } from "../application.ts";
import { type Declared, declare, isSecret, plainText, SECRET_KEY } from "../mocks.ts";

const PROJECT = "22222222-2222-2222-2222-222222222222";
const DEPLOYER = "application_id:11111111-1111-1111-1111-111111111111";

function bucket(changes: Partial<ScalewayBackupBucketArgs> = {}): ScalewayBackupBucket {
  return new ScalewayBackupBucket("shop-backups", {
    name: "shop-backups",
    region: "fr-par",
    projectId: PROJECT,
    administrators: [DEPLOYER],
    prefix: "shop",
    retention: Retention.days(30),
    ...changes,
  });
}

function declared(changes: Partial<ScalewayBackupBucketArgs> = {}): Promise<Declared[]> {
  return declare(false, () => {
    const { bucketName, writer, bucketPolicy } = bucket(changes);
    return [bucketName, writer.secretAccessKey, bucketPolicy.policy];
  });
}

function inputsOf(all: readonly Declared[], type: string): Record<string, unknown> {
  const found = all.filter((one) => one.type === type);
  assert.equal(found.length, 1, type);
  return found[0]?.inputs as Record<string, unknown>;
}

const RESOURCES = [
  "kamal-postgres-backup:index:ScalewayBackupBucket",
  "scaleway:iam/apiKey:ApiKey",
  "scaleway:iam/application:Application",
  "scaleway:iam/policy:Policy",
  "scaleway:object/bucket:Bucket",
  "scaleway:object/bucketPolicy:BucketPolicy",
];

test("these resources, all of one project, and a lock where one is asked for", async () => {
  const plain = await declared();
  assert.deepEqual(plain.map(({ type }) => type).toSorted(), RESOURCES);
  for (const { name } of plain) assert.match(name, /^shop-backups/);
  const locked = await declared({ lock: { mode: "governance", days: 7 } });
  const lock = inputsOf(locked, "scaleway:object/bucketLockConfiguration:BucketLockConfiguration");
  assert.deepEqual(lock["rule"], { defaultRetention: { mode: "GOVERNANCE", days: 7 } });
  assert.equal(inputsOf(locked, "scaleway:object/bucket:Bucket")["objectLockEnabled"], true);
  for (const { type, inputs } of locked.filter(({ type }) => type.startsWith("scaleway:object/"))) {
    assert.deepEqual([inputs["projectId"], inputs["region"]], [PROJECT, "fr-par"], type);
  }
});

test("the bucket keeps versions, expires backups and unfinished uploads, and carries the tags", async () => {
  const all = await declared({ tags: { team: "data" } });
  const { versioning, lifecycleRules, tags, forceDestroy } = inputsOf(
    all,
    "scaleway:object/bucket:Bucket",
  );
  assert.deepEqual(versioning, { enabled: true });
  assert.deepEqual(lifecycleRules, [
    {
      id: "expire",
      enabled: true,
      prefix: "shop/",
      expiration: { days: 30 },
      noncurrentVersionExpiration: { noncurrentDays: 14 },
    },
    {
      id: "expired-markers",
      enabled: true,
      prefix: "shop/",
      expiration: { expiredObjectDeleteMarker: true },
    },
    { id: "abort-unfinished", enabled: true, abortIncompleteMultipartUploadDays: 2 },
  ]);
  assert.deepEqual([tags, forceDestroy], [{ team: "data" }, false]);
});

test("the key is of an application of its own, whose sets and bucket policy grant what was asked for", async () => {
  const all = await declared({ keys: { access: "append-only" } });
  const application = "shop-backups-writer-id";
  const key = inputsOf(all, "scaleway:iam/apiKey:ApiKey");
  assert.deepEqual([key["applicationId"], key["defaultProjectId"]], [application, PROJECT]);
  const { rules, applicationId } = inputsOf(all, "scaleway:iam/policy:Policy");
  assert.equal(applicationId, application);
  assert.deepEqual(rules, [
    {
      projectIds: [PROJECT],
      permissionSetNames: ["ObjectStorageObjectsWrite", "ObjectStorageObjectsDelete"],
    },
  ]);
  const policy = String(inputsOf(all, "scaleway:object/bucketPolicy:BucketPolicy")["policy"]);
  assert.match(policy, new RegExp(`"SCW":\\["${DEPLOYER}"\\],?[^}]*}?,"Action":\\["s3:\\*"\\]`));
  assert.match(policy, new RegExp(`"SCW":\\["application_id:${application}"\\]`));
  assert.doesNotMatch(policy, /s3:(GetObject|ListBucket|DeleteObject)/);
});

test("transform reaches each child", async () => {
  const all = await declared({
    transform: {
      bucket: { tags: { of: "bucket" } },
      bucketPolicy: (args) => ({ ...args, region: "nl-ams" }),
      application: { name: "writer" },
      policy: { name: "rights" },
      key: { expiresAt: "2027-01-01T00:00:00Z" },
    },
  });
  const [, key, application, policy, made, access] = RESOURCES.map((type) => inputsOf(all, type));
  assert.deepEqual(made?.["tags"], { of: "bucket" });
  assert.equal(access?.["region"], "nl-ams");
  assert.deepEqual([application?.["name"], policy?.["name"]], ["writer", "rights"]);
  assert.equal(key?.["expiresAt"], "2027-01-01T00:00:00Z");
});

const REFUSED: Record<string, [Partial<ScalewayBackupBucketArgs>, RegExp]> = {
  "nobody who keeps the bucket": [{ administrators: [] }, /administrators is empty/],
  "an administrator that is none": [
    { administrators: ["user_id:me"] },
    /administrators: "user_id:me" is no principal/,
  ],
  "a name that S3 refuses": [{ name: "Shop_Backups" }, /Shop_Backups/],
  "a region that Scaleway has not": [
    { region: "eu-west-3" },
    /region "eu-west-3" is none of Scaleway's/,
  ],
  "tiers without a folder": [
    { prefix: "", retention: Retention.tiers({ daily: 7, weekly: 35, monthly: 365 }) },
    /prefix: give the folder/,
  ],
};
for (const [what, [changes, sentence]] of Object.entries(REFUSED)) {
  test(`refused: ${what}`, () => assert.rejects(declared(changes), sentence));
}

let folder: string;
before(() => {
  folder = layOutApplication(
    deployYml({
      head: "registry:\n  server: localhost:5555\n",
      clear: { POSTGRES_DB: "shop_production" },
    }),
    SECRETS,
  );
});
after(() => rmSync(folder, { recursive: true }));

function backup(
  preview: boolean,
  changes: Partial<PostgresBackupArgs> = {},
  ofBucket: Partial<ScalewayBackupBucketArgs> = {},
): Promise<Declared[]> {
  return declare(preview, () => [
    new PostgresBackup("shop", {
      kamal: { config: join(folder, "config/deploy.yml") },
      bucket: bucket(ofBucket),
      schedule: "@daily",
      ssh: { hostKeys: { "192.0.2.10": "ssh-ed25519 AAAA" }, privateKey: "the-private-key" },
      build: "host",
      ...changes,
    }).outputs,
  ]);
}

test("PostgresBackup takes it as any other: its address, its key, its retention", async () => {
  const all = await backup(false, {}, { keys: { access: "append-only" } });
  const probe = all.find(({ type }) => type.endsWith(":KeyProbe"))?.inputs;
  assert.deepEqual(
    [probe?.["endpoint"], probe?.["bucket"], probe?.["accessKeyId"], probe?.["access"]],
    ["https://s3.fr-par.scw.cloud", "shop-backups", "SCWMADEUP00000000000", "append-only"],
  );
  assert.equal(probe?.["patienceSeconds"], 60, "a new key is not known everywhere at once");
  const block = String(all.find(({ type }) => type.endsWith(":RenderedBlock"))?.inputs["block"]);
  assert.match(block, /S3_ENDPOINT: https:\/\/s3\.fr-par\.scw\.cloud/);
});

for (const preview of [true, false]) {
  test(`no secret is handed to the engine in plain at ${preview ? "preview" : "update"}`, async () => {
    const all = await backup(preview);
    const text = plainText(all);
    for (const secret of [SECRET_KEY, "the-private-key", "the-database-password"]) {
      assert.ok(!text.includes(secret), secret);
    }
    const of = (suffix: string) => all.find(({ type }) => type.endsWith(suffix))?.inputs ?? {};
    if (!preview) assert.ok(isSecret(of(":KeyProbe")["secretAccessKey"]));
    assert.ok(all.some(({ type }) => type === "scaleway:iam/apiKey:ApiKey"));
  });
}

test("its retention is proved against the schedule, and its folder against the backup's", async () => {
  await assert.rejects(
    backup(true, { schedule: "0 3 1 * *" }, { retention: Retention.days(7) }),
    /schedule and retention contradict each other/,
  );
  await assert.rejects(backup(true, {}, { prefix: "blog" }), /would go to "shop".* for "blog"/);
});

test("what its keys may do is said to the bucket, not to the backup", async () => {
  await assert.rejects(
    backup(true, { keys: { access: "append-only" } }),
    /keys: the keys of this bucket are made together with it\. Give keys to the bucket/,
  );
});
