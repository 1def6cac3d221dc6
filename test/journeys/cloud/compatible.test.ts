// tag: second sandbox
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  DeleteObjectCommand,
  GetBucketLifecycleConfigurationCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  S3Client,
} from "@aws-sdk/client-s3";
import * as command from "@pulumi/command";
import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import {
  type BackupOutputs,
  PostgresBackup,
  Retention,
  S3CompatibleBucket,
} from "../../../components/index.ts";
import { containerState } from "../../../sandbox/host/docker.ts";
import { administrator, query, runCli } from "../../../sandbox/stack/actors.ts";
import { resolved, type SandboxStack } from "../../../sandbox/stack/engine.ts";
import type { World } from "../../../sandbox/world/world.ts";
import { writerPolicy } from "../../../storage/bucket/iamPolicies.ts";
import type { ObjectLock } from "../../../storage/bucket/objectLock.ts";
import { type IamUser, iamUser, type Key } from "../../support/iamUser.ts";
import { openOwn, sandboxUp } from "../../support/journey.ts";

/**
 * Two backups of one application into a bucket that is not on AWS, in a stack where no provider is there by default, with
 * the keys of a user who may only add, list and read.
 */
const bucketName = "two-backups-elsewhere";
const UserName = "two-backups-elsewhere";
const disabled = { "pulumi:disable-default-providers": '["*"]' };
let world: World;
let stack: SandboxStack;
let user: IamUser;
let key: Key = { accessKeyId: "", secretAccessKey: "" };
/** Set for one preview. */
let lock: ObjectLock | undefined;

before(async () => {
  world = await sandboxUp();
  const rights = ["one", "two"].map((prefix) =>
    writerPolicy({ bucket: bucketName, prefix, read: true }),
  );
  user = await iamUser(world.store, UserName, ...rights);
  key = user.key;
  stack = await openOwn(world, {
    stack: "elsewhere",
    program,
    config: disabled,
  });
  const result = await stack.up();
  assert.equal(result.code, 0, result.output);
});
after(async () => {
  const gone = await stack.destroy();
  await stack.close();
  await user.remove();
  assert.equal(gone.code, 0, gone.output);
});

async function program() {
  const { endpoint, region, accessKeyId, secretAccessKey } = world.store;
  const providers = [new docker.Provider("docker"), new command.Provider("command")];
  const bucket = new S3CompatibleBucket("elsewhere", {
    name: bucketName,
    endpoint,
    region,
    allowInsecure: true,
    retention: Retention.days(30),
    administrator: { accessKeyId, secretAccessKey: pulumi.secret(secretAccessKey) },
    writer: { ...key, secretAccessKey: pulumi.secret(key.secretAccessKey) },
    // The journey leaves nothing behind.
    forceDestroy: true,
    ...(lock && { lock }),
  });
  const backup = (name: string) =>
    new PostgresBackup(
      name,
      {
        kamal: { config: world.app.config, accessory: `db_${name}` },
        database: "app_production_queue",
        bucket,
        prefix: name,
        firstBackup: false,
        schedule: world.schedule,
        backupBytes: 2e9,
        usdPerGbMonth: 0.01,
        ssh: { hostKeys: { [world.ssh.host]: world.ssh.hostKey } },
        baseImage: world.image.base,
      },
      { providers },
    );
  const [one, two] = [backup("one"), backup("two")];
  await Promise.all([resolved(one.outputs), resolved(two.outputs)]);
  return {
    one: one.outputs,
    two: two.outputs,
    writerSecret: bucket.writer.secretAccessKey,
  };
}

async function keysOf(prefix: string): Promise<string[]> {
  const { Contents = [] } = await administrator(world).send(
    new ListObjectsV2Command({ Bucket: bucketName, Prefix: prefix }),
  );
  return Contents.map(({ Key = "" }) => Key);
}

test("both run, and neither the program nor a look at what is there finds a change", async () => {
  const outputs = await stack.stack.outputs();
  for (const name of ["one", "two"]) {
    const backup = outputs[name]?.value as BackupOutputs | undefined;
    assert.deepEqual([backup?.location.bucket, backup?.location.prefix], [bucketName, name]);
    assert.equal((await containerState(backup?.container ?? ""))?.status, "running");
  }
  const drift = await stack.preview({ expectNoChanges: true });
  assert.equal(drift.code, 0, drift.output);
});

test("each backs up into its own folder, with a key that cannot delete what it wrote", async () => {
  for (const name of ["one", "two"]) {
    const backup = await runCli(stack, ["--name", name, "backup"]);
    assert.equal(backup.code, 0, backup.stderr);
  }
  const keys = await keysOf("");
  assert.equal(
    keys.filter((found) => /^one\/app_production_queue_.*\.(pgdump|zst)$/.test(found)).length,
    2,
  );
  assert.equal(
    keys.filter((found) => /^two\/app_production_queue_.*\.(pgdump|zst)$/.test(found)).length,
    2,
  );
  const { endpoint, region } = world.store;
  const writer = new S3Client({ endpoint, region, forcePathStyle: true, credentials: key });
  const target = { Bucket: bucketName, Key: keys[0] ?? "" };
  await assert.rejects(writer.send(new DeleteObjectCommand(target)), { name: "AccessDenied" });
  await administrator(world).send(new HeadObjectCommand(target));
  const { Rules = [] } = await administrator(world).send(
    new GetBucketLifecycleConfigurationCommand({ Bucket: bucketName }),
  );
  assert.ok(Rules.some(({ Expiration }) => Expiration?.Days === 30));
});

test("and restores from there, beside the live database", async () => {
  const words = ["--name", "two", "restore", "latest", "--into", "queue_elsewhere", "--yes"];
  const restore = await runCli(stack, words);
  assert.equal(restore.code, 0, restore.stderr);
  try {
    const tables = "select count(*)::int as n from pg_tables where schemaname = 'public'";
    const [copy] = await query<{ n: number }>(world, tables, "queue_elsewhere");
    const [live] = await query<{ n: number }>(world, tables, "app_production_queue");
    assert.equal(copy?.n, live?.n);
    assert.notEqual(live?.n, 0);
  } finally {
    await query(world, "drop database queue_elsewhere");
  }
});

test("a lock that nobody can lift shows its bill at preview", async () => {
  lock = { mode: "compliance", days: 7, acceptCompliance: true };
  const preview = await stack.preview().finally(() => {
    lock = undefined;
  });
  assert.equal(preview.code, 0, preview.output);
  assert.match(
    preview.output,
    /warning: lock: 7 backups are locked at any time for 7 days each, 14\.0 GB: at least 14\.0 GB-months a month are billed whatever happens \(about 0\.14 USD a month by usdPerGbMonth\)/,
  );
});

test("another stack reads the outputs through a reference, and what is secret stays secret", async () => {
  const reader = await openOwn(world, {
    stack: "reader-of-elsewhere",
    program: async () => {
      const other = new pulumi.StackReference("organization/kamal-postgres-backup/elsewhere");
      const one = other.requireOutput("one") as pulumi.Output<BackupOutputs>;
      return {
        place: one.apply(({ location, retentionDays, rpoHours }) => ({
          ...location,
          retentionDays,
          rpoHours,
        })),
        hosts: one.hosts.apply((hosts) => hosts.map(({ host }) => host)),
        writerSecret: other.requireOutput("writerSecret"),
      };
    },
  });
  const result = await reader.up();
  assert.equal(result.code, 0, result.output);
  const { place, hosts, writerSecret } = await reader.stack.outputs();
  const { endpoint, region } = world.store;
  const expected = { endpoint, region, bucket: bucketName, prefix: "one" };
  assert.deepEqual(place?.value, { ...expected, retentionDays: 30, rpoHours: 26 });
  assert.deepEqual(hosts?.value, [world.ssh.host]);
  assert.equal(place?.secret, false);
  assert.equal(writerSecret?.secret, true);
  assert.equal(writerSecret?.value, key.secretAccessKey);
  const stored = "state/.pulumi/stacks/kamal-postgres-backup/reader-of-elsewhere.json";
  const state = await readFile(join(world.dir, stored), "utf8");
  assert.ok(state.includes(bucketName));
  assert.ok(!state.includes(key.secretAccessKey), "it stands in the state in plain");
});
