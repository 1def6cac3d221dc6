import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CreateBucketCommand, ListObjectsV2Command } from "@aws-sdk/client-s3";
import { PostgresBackup } from "../../components/index.ts";
import { administrator, query, runCli } from "../../sandbox/actors.ts";
import { openStack, type SandboxStack, settled } from "../../sandbox/engine.ts";
import { up } from "../../sandbox/up.ts";
import type { World } from "../../sandbox/world.ts";

/** A second backup of the same application, into a bucket of the user's, with the bucket in the endpoint. */
const Bucket = "bring-your-own";
let world: World;
let stack: SandboxStack;

before(async () => {
  world = await up();
  await administrator(world).send(new CreateBucketCommand({ Bucket }));
  const program = async () => {
    const { outputs } = new PostgresBackup("archive", {
      kamal: { config: world.app.config, accessory: "db_archive" },
      database: "app_production_queue",
      bucket: {
        name: Bucket,
        endpoint: `${world.store.endpoint}/${Bucket}`,
        region: world.store.region,
        accessKeyId: world.store.accessKeyId,
        secretAccessKey: world.store.secretAccessKey,
        allowInsecure: true,
      },
      schedule: "@daily",
      ssh: { hostKeys: { [world.ssh.host]: world.ssh.hostKey } },
      baseImage: world.image.base,
    });
    await settled(outputs);
    return { archive: outputs };
  };
  stack = await openStack(world, { stack: "archive", program });
  const result = await stack.up();
  assert.equal(result.code, 0, result.output);
  assert.match(result.output, /bucket/i);
});
after(async () => {
  const gone = await stack.destroy();
  await stack.close();
  assert.equal(gone.code, 0, gone.output);
});

test("with the bucket in the endpoint a backup lands under its own key, without an extra folder", async () => {
  const backup = await runCli(stack, ["backup"]);
  assert.equal(backup.code, 0, backup.stderr);
  const { Contents = [] } = await administrator(world).send(new ListObjectsV2Command({ Bucket }));
  const keys = Contents.map((object) => object.Key as string);
  assert.ok(
    keys.some((key) => /\/app_production_queue_[^/]+\.pgdump$/.test(key)),
    keys.join(", "),
  );
  assert.deepEqual(
    keys.filter((key) => !key.startsWith(`${world.app.service}/app_production_queue_`)),
    [],
  );
});

test("and restores beside the live database", async () => {
  const restore = await runCli(stack, ["restore", "latest", "--into", "queue_copy", "--yes"]);
  assert.equal(restore.code, 0, restore.stderr);
  try {
    const tables = "select count(*)::int as n from pg_tables where schemaname = 'public'";
    const [copy] = await query<{ n: number }>(world, tables, "queue_copy");
    const [live] = await query<{ n: number }>(world, tables, "app_production_queue");
    assert.equal(copy?.n, live?.n);
    assert.notEqual(live?.n, 0);
  } finally {
    await query(world, "drop database queue_copy");
  }
});
