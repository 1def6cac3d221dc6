// tag: cloud
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  GetObjectLockConfigurationCommand,
  PutObjectLockConfigurationCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import * as aws from "@pulumi/aws";
import { administrator, changed, standIn } from "../../support/compatible.ts";
import { openProject, type Project } from "../../support/engineProject.ts";
import { startStore, type TestStore } from "../../support/servers/store.ts";

let store: TestStore;
let s3: S3Client;
let project: Project;
let name = "";

before(async () => {
  store = await startStore();
  s3 = administrator(store);
  project = await openProject(["aws"], standIn(store));
});
after(async () => {
  await project?.close();
  await store?.stop();
});

type Retention = { mode: string; days?: number; years?: number };

/** The lock turns itself on, on a bucket that was made without. */
const program = (defaultRetention?: Retention) => async () => {
  const bucket = new aws.s3.Bucket("store", { forceDestroy: true });
  const versioning = new aws.s3.BucketVersioning("versioning", {
    bucket: bucket.bucket,
    versioningConfiguration: { status: "Enabled" },
  });
  if (defaultRetention) {
    new aws.s3.BucketObjectLockConfiguration(
      "lock",
      { bucket: bucket.bucket, rule: { defaultRetention } },
      { dependsOn: versioning },
    );
  }
  return { name: bucket.bucket };
};
const week = { mode: "GOVERNANCE", days: 7 };

async function lock() {
  const found = await s3.send(new GetObjectLockConfigurationCommand({ Bucket: name }));
  return found.ObjectLockConfiguration;
}

test("up turns the lock on, a second up changes nothing, and nothing has drifted", async () => {
  await project.up(program(week));
  const outputs = await project.outputs();
  name = outputs["name"]?.value;
  assert.deepEqual((await lock())?.Rule?.DefaultRetention, { Mode: "GOVERNANCE", Days: 7 });
  assert.deepEqual(changed(await project.up(program(week))), {});
  assert.equal((await project.drift(program(week))).code, 0);
});

test("another retention is an update of the lock alone", async () => {
  const years = { mode: "GOVERNANCE", years: 1 };
  assert.deepEqual(changed(await project.up(program(years))), { lock: "update" });
  assert.deepEqual((await lock())?.Rule?.DefaultRetention, { Mode: "GOVERNANCE", Years: 1 });
  await project.up(program(week));
});

test("drift made by hand is seen, named, and put back", async () => {
  const ObjectLockConfiguration = {
    ObjectLockEnabled: "Enabled",
    Rule: { DefaultRetention: { Mode: "GOVERNANCE", Days: 1 } },
  } as const;
  await s3.send(new PutObjectLockConfigurationCommand({ Bucket: name, ObjectLockConfiguration }));
  const { code, steps, diffs } = await project.drift(program(week));
  assert.equal(code, 7);
  assert.equal(steps["lock"], "update");
  assert.deepEqual(diffs["lock"], ["rule.defaultRetention.days"]);
  await project.up(program(week), { refresh: true });
  assert.equal((await lock())?.Rule?.DefaultRetention?.Days, 7);
});

test("without the resource the retention is gone, and the lock itself stays, as on AWS", async () => {
  assert.deepEqual(changed(await project.up(program())), { lock: "delete" });
  assert.deepEqual(await lock(), { ObjectLockEnabled: "Enabled" });
});
