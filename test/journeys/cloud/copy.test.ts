// tag: second sandbox
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import type { BackupOutputs } from "../../../common/contracts/stackOutputs.ts";
import { AwsBackupBucket, PostgresBackup, Retention } from "../../../components/index.ts";
import { docker } from "../../../sandbox/host/docker.ts";
import { administrator, outputsOf, query, runCli } from "../../../sandbox/stack/actors.ts";
import { resolved, type SandboxStack } from "../../../sandbox/stack/engine.ts";
import type { World } from "../../../sandbox/world/world.ts";
import { writerPolicy } from "../../../storage/bucket/iamPolicies.ts";
import { type IamUser, iamUser } from "../../support/iamUser.ts";
import { openOwn, sandboxUp } from "../../support/journey.ts";

/** The copies go to a bucket of the user's, with a key that the user has made for this folder alone. */
const run = Date.now();
const Bucket = `copies-of-the-shop-${run}`;
const PREFIX = "far";
const UserName = `copies-writer-${run}`;
const DATABASE = "app_production_queue";

let world: World;
let stack: SandboxStack;
let user: IamUser;
let key: { readonly accessKeyId: string; readonly secretAccessKey: string };
let outputs: BackupOutputs;

before(async () => {
  world = await sandboxUp();
  await administrator(world).send(new CreateBucketCommand({ Bucket }));
  key = await makeKey();
  const program = async () => {
    const backup = new PostgresBackup("copied", {
      kamal: { config: world.app.config, accessory: "db_copied" },
      database: DATABASE,
      firstBackup: false,
      bucket: new AwsBackupBucket("copied-backups", {
        retention: Retention.days(30),
        endpoint: world.store.endpoint,
        allowInsecure: true,
        forceDestroy: true,
      }),
      copy: {
        bucket: {
          name: Bucket,
          endpoint: world.store.endpoint,
          region: world.store.region,
          ...key,
          allowInsecure: true,
        },
        prefix: PREFIX,
        every: world.schedule,
      },
      schedule: world.schedule,
      ssh: { hostKeys: { [world.ssh.host]: world.ssh.hostKey } },
      baseImage: world.image.base,
    });
    await resolved(backup.outputs);
    return { copied: backup.outputs };
  };
  stack = await openOwn(world, { stack: "copied", program });
  const result = await stack.up();
  assert.equal(result.code, 0, result.output);
  assert.match(result.output, /copy\.bucket is at .* as the first one is/);
  outputs = await outputsOf(stack);
});
after(async () => {
  const gone = await stack.destroy();
  await stack.close();
  await user.remove();
  const s3 = administrator(world);
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket }));
  for (const { Key } of Contents) await s3.send(new DeleteObjectCommand({ Bucket, Key }));
  await s3.send(new DeleteBucketCommand({ Bucket }));
  assert.equal(gone.code, 0, gone.output);
});

async function makeKey() {
  const rights = writerPolicy({ bucket: Bucket, prefix: PREFIX, read: true });
  user = await iamUser(world.store, UserName, rights);
  return user.key;
}

async function json(...args: string[]) {
  const { code, stdout, stderr } = await runCli(stack, [...args, "--json"]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

test("the stack tells where the copies are, and a second up changes nothing", async () => {
  assert.deepEqual(outputs.copy, {
    location: {
      endpoint: world.store.endpoint,
      region: world.store.region,
      bucket: Bucket,
      prefix: PREFIX,
    },
    writerKeyId: key.accessKeyId,
    rpoHours: 26,
  });
  const again = await stack.up({ expectNoChanges: true });
  assert.equal(again.code, 0, again.output);
});

test("one backup lies in both buckets, byte for byte", async () => {
  const { manifest, copies } = await json("backup");
  const [copy] = copies;
  assert.match(copy.object.key, new RegExp(`^${PREFIX}/${DATABASE}_`));
  assert.equal(copy.object.sha256, manifest.object.sha256);
  const s3 = administrator(world);
  const [here, there] = await Promise.all(
    [
      { Bucket: outputs.location.bucket, Key: manifest.object.key },
      { Bucket, Key: copy.object.key },
    ].map(async (target) => {
      const { Body } = await s3.send(new GetObjectCommand(target));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    }),
  );
  assert.ok(here && there?.equals(here) && here.length > 0);
});

test("list, status and verify read the copy", async () => {
  const listed = await json("list", "--copy");
  assert.equal(listed.location, `s3://${Bucket}/${PREFIX}`);
  assert.equal(listed.backups.length, 1);
  const status = await json("status");
  assert.equal(status.copy.databases[0].withinRpo, true);
  assert.equal(status.copy.databases[0].newest.stamp, listed.backups[0].stamp);
  const verified = await runCli(stack, ["verify", "--copy"]);
  assert.equal(verified.code, 0, verified.stderr);
});

test("a drill of the copy reads the copy, and leaves its record beside it", async () => {
  const format = ["container", "inspect", "--format", "{{.Config.Image}}"];
  const image = (await docker([...format, world.database.container])).stdout.trim();
  const drilled = await json("drill", "--copy", "--image", image, "--network", "kamal");
  const [record] = drilled.drills;
  assert.deepEqual([record.verdict, record.compared], ["passed", true], record.reason);
  assert.match(record.backup.key, new RegExp(`^${PREFIX}/${DATABASE}_`));
  assert.match(record.recorded, new RegExp(`^${PREFIX}/drills/`));
});

test("the copy restores beside the live database", async () => {
  const restore = await runCli(stack, [
    "restore",
    "latest",
    "--copy",
    "--into",
    "from_copy",
    "--yes",
  ]);
  assert.equal(restore.code, 0, restore.stderr);
  try {
    const tables = "select count(*)::int as n from pg_tables where schemaname = 'public'";
    const [copy] = await query<{ n: number }>(world, tables, "from_copy");
    const [live] = await query<{ n: number }>(world, tables, DATABASE);
    assert.equal(copy?.n, live?.n);
    assert.notEqual(live?.n, 0);
  } finally {
    await query(world, "drop database from_copy");
  }
});

test("the key of each bucket is nothing in the other", async () => {
  const { stdout } = await docker(["exec", outputs.container, "env"]);
  const env = Object.fromEntries(stdout.split("\n").map((line) => line.split(/=(.*)/s)));
  const client = (start: string) =>
    new S3Client({
      endpoint: world.store.endpoint,
      region: world.store.region,
      forcePathStyle: true,
      credentials: {
        accessKeyId: env[`${start}S3_ACCESS_KEY_ID`],
        secretAccessKey: env[`${start}S3_SECRET_ACCESS_KEY`],
      },
    });
  const { bucket, prefix } = outputs.location;
  const [first, copy] = [client(""), client("COPY_")];
  for (const [who, at, folder] of [
    [first, Bucket, PREFIX],
    [copy, bucket, prefix],
  ] as const) {
    const put = new PutObjectCommand({ Bucket: at, Key: `${folder}/x`, Body: "x" });
    const list = new ListObjectsV2Command({ Bucket: at, Prefix: `${folder}/` });
    await assert.rejects(who.send(put), { name: "AccessDenied" });
    await assert.rejects(who.send(list), { name: "AccessDenied" });
  }
  await copy.send(new ListObjectsV2Command({ Bucket, Prefix: `${PREFIX}/` }));
});

test("no secret of the copy in plain: state, labels, arguments, logs, deploy.yml", async () => {
  const { stdout } = await docker(["container", "inspect", outputs.container]);
  const [found] = JSON.parse(stdout);
  delete found.Config.Env;
  const logs = await docker(["logs", outputs.container]);
  const preview = await stack.preview();
  const texts: Record<string, string> = {
    "docker inspect": JSON.stringify(found),
    "docker logs": logs.stdout + logs.stderr,
    "the preview": preview.output,
    "deploy.yml": readFileSync(world.app.config, "utf8"),
  };
  const state = join(world.dir, "state");
  for (const entry of readdirSync(state, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) texts[path] = readFileSync(path, "utf8");
  }
  assert.ok(key.secretAccessKey.length > 8);
  for (const [where, text] of Object.entries(texts)) {
    assert.ok(!text.includes(key.secretAccessKey), `${where} holds the copy's secret key in plain`);
  }
  assert.match(texts["deploy.yml"] ?? "", /COPY_S3_SECRET_ACCESS_KEY:DB_COPIED_COPY_S3_SECRET/);
});
