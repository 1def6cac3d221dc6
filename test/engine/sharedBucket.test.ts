// tag: cloud
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetBucketLifecycleConfigurationCommand,
  GetBucketPolicyCommand,
  HeadBucketCommand,
  type LifecycleRule,
  PutBucketLifecycleConfigurationCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { Retention, type S3CompatibleBucketArgs } from "../../components/index.ts";
import { administrator, changed, compatible } from "../support/compatible.ts";
import { openProject, type Project } from "../support/engineProject.ts";
import { startStore, type TestStore } from "../support/servers/store.ts";

/** A bucket of the user's, with a lifecycle rule and a policy of the user's, taken over by the program. */
const Bucket = "everything-of-the-firm";
const theirRule: LifecycleRule = {
  ID: "logs",
  Status: "Enabled",
  Filter: { Prefix: "logs/" },
  Expiration: { Days: 7 },
};
const theirStatement = {
  Sid: "NoReports",
  Effect: "Deny",
  Principal: "*",
  Action: "s3:PutObject",
  Resource: `arn:aws:s3:::${Bucket}/reports/*`,
};

let store: TestStore;
let s3: S3Client;
let project: Project;

before(async () => {
  store = await startStore();
  s3 = administrator(store);
  project = await openProject([], {}, {}, "warm");
  await s3.send(new CreateBucketCommand({ Bucket }));
  await writeRules([theirRule]);
  const Policy = JSON.stringify({ Version: "2012-10-17", Statement: [theirStatement] });
  await s3.send(new PutBucketPolicyCommand({ Bucket, Policy }));
  await s3.send(new PutObjectCommand({ Bucket, Key: "logs/theirs", Body: "1" }));
});
after(async () => {
  await project?.close();
  await store?.stop();
});

const program = (args: Partial<S3CompatibleBucketArgs>) => async () => {
  compatible(store, "shop", { name: Bucket, ...args });
};
const adopted = { adopt: true, prefix: "shop" };

async function rules(): Promise<LifecycleRule[]> {
  const found = await s3.send(new GetBucketLifecycleConfigurationCommand({ Bucket }));
  return found.Rules ?? [];
}

async function writeRules(Rules: LifecycleRule[]): Promise<void> {
  const command = { Bucket, LifecycleConfiguration: { Rules } };
  await s3.send(new PutBucketLifecycleConfigurationCommand(command));
}

/** Theirs is there and unchanged; returns the ids of all others. */
async function ourRules(): Promise<(string | undefined)[]> {
  const found = await rules();
  assert.deepEqual(
    found.filter(({ ID }) => ID === "logs").map(({ Expiration, Filter }) => [Expiration, Filter]),
    [[theirRule.Expiration, theirRule.Filter]],
  );
  return found.map(({ ID }) => ID).filter((id) => id !== "logs");
}

async function sids(): Promise<string[]> {
  const { Policy } = await s3.send(new GetBucketPolicyCommand({ Bucket }));
  return JSON.parse(Policy ?? "{}").Statement.map(({ Sid }: { Sid: string }) => Sid);
}

const OURS = ["expire", "expired-markers", "abort-unfinished"].map(
  (id) => `${id}@contract-test-shop`,
);

test("a bucket that exists is not taken without being told", async () => {
  assert.match(await project.failure(program({})), /exists already at .* Set adopt: true/);
  await ourRules();
});

test("taken over, its own rules and statements stand beside ours", async () => {
  await project.up(program(adopted));
  assert.deepEqual((await ourRules()).toSorted(), OURS.toSorted());
  assert.deepEqual((await sids()).toSorted(), ["KamalPostgresBackupNoCustomerKeys", "NoReports"]);
});

test("and survive a change of ours, and a rule that its owner adds is no drift", async () => {
  await writeRules([...(await rules()), { ...theirRule, ID: "tmp", Filter: { Prefix: "tmp/" } }]);
  assert.equal((await project.drift(program(adopted))).code, 0);
  const shorter = { ...adopted, retention: Retention.days(14) };
  assert.deepEqual(changed(await project.up(program(shorter))), { "shop-lifecycle": "update" });
  assert.deepEqual((await ourRules()).toSorted(), [...OURS, "tmp"].toSorted());
  await project.up(program(adopted));
});

test("a rule of theirs that would expire our backups sooner is drift that up does not touch", async () => {
  const before = await rules();
  await writeRules([...before, { ...theirRule, ID: "all", Filter: { Prefix: "" } }]);
  const drift = await project.drift(program(adopted));
  assert.equal(drift.code, 7);
  assert.deepEqual(changed(drift), { "shop-lifecycle": "update" });
  await assert.rejects(
    project.up(program(adopted), { refresh: true }),
    /rule "all" expires backups after 7 of 30 days\. It is not ours to remove/,
  );
  assert.ok((await rules()).some(({ ID }) => ID === "all"));
  await writeRules(before);
});

test("ours go, theirs stay, when they are no longer asked for and the bucket is ours to destroy", async () => {
  const none = { abilities: { lifecycle: false, bucketPolicy: false } };
  const forced = { ...adopted, forceDestroy: true };
  await project.up(program(forced));
  const steps = changed(await project.up(program({ ...forced, ...none })));
  assert.deepEqual(steps, { "shop-lifecycle": "delete", "shop-policy": "delete" });
  assert.deepEqual(await ourRules(), ["tmp"]);
  assert.deepEqual(await sids(), ["NoReports"]);
});

test("another name is another bucket, and the first one stays with what is in it", async () => {
  await project.up(program(adopted));
  const { steps } = await project.up(program({ name: "a-second-one" }));
  assert.equal(steps["shop"], "replace");
  await s3.send(new HeadBucketCommand({ Bucket: "a-second-one" }));
  await s3.send(new HeadBucketCommand({ Bucket }));
  assert.deepEqual((await ourRules()).toSorted(), [...OURS, "tmp"].toSorted());
});

test("a bucket removed by hand is drift, and up makes it again", async () => {
  const second = program({ name: "a-second-one" });
  await s3.send(new DeleteBucketCommand({ Bucket: "a-second-one" }));
  const { code, steps } = await project.drift(second);
  assert.equal(code, 7);
  assert.equal(steps["shop"], "create");
  await project.up(second, { refresh: true });
  assert.equal((await project.drift(second)).code, 0);
});

test("no key of the administrator stands in the state in plain", async () => {
  assert.ok(!(await project.state()).includes(store.secretAccessKey));
});

test("with forceDestroy versions, markers, locked objects and unfinished uploads go with the bucket", async () => {
  const last: S3CompatibleBucketArgs["lock"] = { mode: "governance", days: 3 };
  const forced = program({ name: "a-second-one", forceDestroy: true, lock: last });
  await project.up(forced);
  const target = { Bucket: "a-second-one", Key: "shop/x" };
  await s3.send(new PutObjectCommand({ ...target, Body: "1" }));
  await s3.send(new PutObjectCommand({ ...target, Body: "2" }));
  await s3.send(new DeleteObjectCommand(target));
  await s3.send(new CreateMultipartUploadCommand({ ...target, Key: "shop/unfinished" }));
  await project.destroy(forced);
  await assert.rejects(s3.send(new HeadBucketCommand({ Bucket: "a-second-one" })), {
    name: "NotFound",
  });
});
