import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
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
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { docker } from "../../../sandbox/host/docker.ts";
import { administrator, outputsOf, query, runCli } from "../../../sandbox/stack/actors.ts";
import { ensureIdentity } from "../../../sandbox/stack/identity.ts";
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

const keyOf = (stamp: string, suffix: string) =>
  `${prefix}/${journey.world.database.name}_${stamp}.${suffix}`;

async function text(Key: string): Promise<string> {
  const { Body } = await writer.send(new GetObjectCommand({ Bucket, Key }));
  return (await Body?.transformToString()) ?? "";
}

/** Stamp of the newest backup that is there. */
async function newest(): Promise<string> {
  const Prefix = `${prefix}/${journey.world.database.name}_`;
  const { Contents = [] } = await writer.send(new ListObjectsV2Command({ Bucket, Prefix }));
  const manifests = Contents.map(({ Key = "" }) => Key).filter((key) =>
    key.endsWith(".manifest.json"),
  );
  return manifests.toSorted().at(-1)?.slice(Prefix.length, -".manifest.json".length) ?? "";
}

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

test("a newer backup that is planted with it is shown, passed over, and restored by nobody unseen", async (t) => {
  const { world, stack } = journey;
  const cli = async (...words: string[]) => {
    const { code, stdout, stderr } = await runCli(stack, words);
    return { code, stderr, said: JSON.parse(stdout) };
  };
  const identity = ["--identity", ensureIdentity(world).file];
  const made = await cli("backup", "--json");
  assert.equal(made.code, 0, made.stderr);
  const good = await newest();
  // A second that no true backup of the container has, and no later one gets.
  const stamp = new Date(Date.parse(`${good}Z`) + 1000).toISOString().slice(0, 19);
  const body = randomBytes(100_000);
  const manifest = JSON.parse(await text(keyOf(good, "manifest.json"))) as Manifest;
  const suffix = manifest.object.key.slice(keyOf(good, "").length);
  const planted = {
    ...{ ...manifest, takenAt: `${stamp}Z`, globals: null },
    object: {
      key: keyOf(stamp, suffix),
      bytes: body.length,
      sha256: createHash("sha256").update(body).digest("hex"),
    },
  };
  const objects = [
    [planted.object.key, body],
    [keyOf(stamp, "manifest.json"), JSON.stringify(planted)],
  ] as const;
  t.after(async () => {
    for (const [Key] of objects) {
      await administrator(world).send(new DeleteObjectCommand({ Bucket, Key }));
    }
    await query(world, "drop database if exists planted with (force)", "postgres");
  });
  for (const [Key, Body] of objects) await writer.send(new PutObjectCommand({ Bucket, Key, Body }));

  const list = await cli("list", "--json");
  assert.equal(list.code, 0, list.stderr);
  const state = (wanted: string) =>
    list.said.backups.find((one: { stamp: string }) => one.stamp === wanted)?.state;
  assert.equal(state(stamp), "wrongly signed");
  assert.equal(list.said.newest.stamp, good);
  const status = await cli("status", "--json");
  assert.equal(status.code, 0, status.stderr);
  const drift = await cli("drift", "--json");
  assert.equal(drift.code, 0, JSON.stringify(drift.said));
  const verified = await cli("verify", ...identity, "--json");
  assert.equal(verified.code, 0, verified.stderr);
  assert.equal(verified.said.from, good);
  const byTime = await runCli(stack, ["restore", stamp, "--into", "planted", "--yes", ...identity]);
  assert.equal(byTime.code, 1);
  assert.match(byTime.stderr, /may be somebody else's: its signature is wrong.*--accept-origin/s);
  const latest = await runCli(stack, ["restore", "--into", "planted", "--yes", ...identity]);
  assert.equal(latest.code, 0, latest.stderr);
  assert.match(latest.stderr, new RegExp(`passed over ${stamp}: its signature is wrong`));
  assert.match(latest.stdout, new RegExp(`from ${good.replace("T", " ")}`));
});

test("after all of that the object is still the same", async () => {
  const object = await writer.send(new GetObjectCommand({ Bucket, Key: canaryKey }));
  assert.equal(await object.Body?.transformToString(), "still here");
});
