import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import * as pulumi from "@pulumi/pulumi";
import { KeyProbe } from "../../../components/bucket/keyProbe.ts";
import { docker } from "../../../sandbox/host/docker.ts";
import { administrator, outputsOf, runCli } from "../../../sandbox/stack/actors.ts";
import { resolved, type SandboxStack } from "../../../sandbox/stack/engine.ts";
import { declareBackup } from "../../../stacks/program.ts";
import { type PolicyDocument, writerPolicy } from "../../../storage/bucket/iamPolicies.ts";
import { type IamUser, iamUser, type Key } from "../../support/iamUser.ts";
import { begin, type Journey, openOwn } from "../../support/journey.ts";

const Bucket = "keys-of-the-user";
const UserName = "keys-of-the-user";
const prefix = "shop";
const allowed = writerPolicy({ bucket: Bucket, prefix, read: true });
const WIDE: PolicyDocument = {
  Version: "2012-10-17",
  Statement: [
    { Sid: "All", Effect: "Allow", Action: ["s3:*"], Resource: `arn:aws:s3:::${Bucket}` },
    { Sid: "Objects", Effect: "Allow", Action: ["s3:*"], Resource: `arn:aws:s3:::${Bucket}/*` },
  ],
};

let journey: Journey;
let probing: SandboxStack;
let user: IamUser;
let key: Key;

before(async () => {
  journey = await begin({ keyAccess: "append-only" }, { program: withReader });
  await administrator(journey.world).send(new CreateBucketCommand({ Bucket }));
  user = await iamUser(journey.world.store, UserName);
  key = user.key;
  await user.allow(allowed);
  probing = await openOwn(journey.world, { stack: "key-probe", program: probe });
});
after(async () => {
  await probing.destroy();
  await probing.close();
  await user.remove();
  await administrator(journey.world).send(new DeleteBucketCommand({ Bucket }));
  await journey.stack.close();
});

/** The program of `stacks/`, which also says the reader's key. */
async function withReader() {
  const { outputs, readerKeyId, readerSecretKey } = declareBackup();
  await resolved(outputs);
  return { backup: outputs, readerKeyId, readerSecretKey };
}

async function probe() {
  const { endpoint, region } = journey.world.store;
  const made = new KeyProbe("given", {
    endpoint,
    region,
    bucket: Bucket,
    prefix,
    allowInsecure: true,
    ...key,
    secretAccessKey: pulumi.secret(key.secretAccessKey),
    access: "restorable",
    patienceSeconds: 0,
  });
  return { warnings: made.warnings };
}

function client(credentials: typeof key): S3Client {
  const { endpoint, region } = journey.world.store;
  return new S3Client({ endpoint, region, forcePathStyle: true, credentials });
}

test("a given key that can do what it must and no more: no warning", async () => {
  const up = await probing.up();
  assert.equal(up.code, 0, up.output);
  assert.doesNotMatch(up.output, /the access key on the database host/);
  const stored = "state/.pulumi/stacks/kamal-postgres-backup/key-probe.json";
  const state = await readFile(join(journey.world.dir, stored), "utf8");
  assert.ok(state.includes(key.accessKeyId));
  assert.ok(!state.includes(key.secretAccessKey), "the secret stands in the state in plain");
});

test("a key that got too many rights is warned about at the next preview, and nothing was left in the bucket", async () => {
  await user.allow(WIDE);
  const preview = await probing.preview();
  assert.equal(preview.code, 0, preview.output);
  assert.match(preview.output, /warning: .*can delete backups/);
  assert.match(preview.output, /warning: .*can change the bucket's expiry rules/);
  assert.match(preview.output, /warning: .*can change the bucket's policy/);
  const found = await administrator(journey.world).send(new ListObjectVersionsCommand({ Bucket }));
  assert.deepEqual([found.Versions ?? [], found.DeleteMarkers ?? []], [[], []]);
  assert.deepEqual(Object.keys(preview.changes), ["same"], "it is no change");
});

test("a key that lost its rights is drift, and up says what it cannot do", async () => {
  await user.allow(writerPolicy({ bucket: Bucket, prefix: "another", read: true }));
  const preview = await probing.preview({ expectNoChanges: true });
  assert.equal(preview.code, 7, preview.output);
  const up = await probing.up();
  assert.notEqual(up.code, 0);
  assert.match(up.output, /the access key may not do this in keys-of-the-user\/shop/);
  await user.allow(allowed);
  const mended = await probing.up();
  assert.equal(mended.code, 0, mended.output);
  assert.doesNotMatch(mended.output, /the access key on the database host/);
});

test("append-only: the container backs up with a key that can neither list nor read", async () => {
  const { container, location } = await outputsOf(journey.stack);
  const backup = await runCli(journey.stack, ["backup"]);
  assert.equal(backup.code, 0, backup.stderr);

  const format = "{{range .Config.Env}}{{println .}}{{end}}";
  const { stdout } = await docker(["container", "inspect", "-f", format, container]);
  const value = (name: string) => new RegExp(`^${name}=(.*)$`, "m").exec(stdout)?.[1] ?? "";
  const writer = client({
    accessKeyId: value("S3_ACCESS_KEY_ID"),
    secretAccessKey: value("S3_SECRET_ACCESS_KEY"),
  });
  const place = { Bucket: location.bucket, Prefix: `${location.prefix}/` };
  await assert.rejects(writer.send(new ListObjectsV2Command(place)), { name: "AccessDenied" });
  const { Contents = [] } = await administrator(journey.world).send(
    new ListObjectsV2Command(place),
  );
  const Key = Contents.map(({ Key: k = "" }) => k).find((k) => k.endsWith(".manifest.json")) ?? "";
  await assert.rejects(writer.send(new GetObjectCommand({ Bucket: location.bucket, Key })), {
    name: "AccessDenied",
  });

  const { readerKeyId, readerSecretKey } = await journey.stack.stack.outputs();
  assert.equal(readerSecretKey?.secret, true);
  assert.ok(!stdout.includes(readerKeyId?.value), "the reader's key is on the host");
  const reader = client({
    accessKeyId: readerKeyId?.value,
    secretAccessKey: readerSecretKey?.value,
  });
  const listed = await reader.send(new ListObjectsV2Command(place));
  assert.ok(listed.Contents?.some((object) => object.Key === Key));
  const read = await reader.send(new GetObjectCommand({ Bucket: location.bucket, Key }));
  assert.match((await read.Body?.transformToString()) ?? "", /"version": 1/);
  const Body = "x";
  for (const refused of [
    new PutObjectCommand({ Bucket: location.bucket, Key: `${location.prefix}/new`, Body }),
    new DeleteObjectCommand({ Bucket: location.bucket, Key }),
    new ListObjectsV2Command({ Bucket: location.bucket, Prefix: "another/" }),
    new GetObjectCommand({ Bucket: location.bucket, Key: "another/one" }),
  ]) {
    await assert.rejects(reader.send(refused as PutObjectCommand), { name: "AccessDenied" });
  }
  const preview = await journey.stack.preview({ expectNoChanges: true });
  assert.equal(preview.code, 0, preview.output);
});
