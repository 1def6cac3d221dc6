// tag: second sandbox
import assert from "node:assert/strict";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CreateBucketCommand, ListObjectsV2Command, PutObjectCommand } from "@aws-sdk/client-s3";
import { PostgresBackup } from "../../../components/index.ts";
import { up } from "../../../sandbox/commands/up.ts";
import { docker } from "../../../sandbox/host/docker.ts";
import { administrator, outputsOf, query, runCli } from "../../../sandbox/stack/actors.ts";
import { openStack, resolved, type SandboxStack } from "../../../sandbox/stack/engine.ts";
import type { World } from "../../../sandbox/world/world.ts";

/**
 * A second backup of the same application, of every database but one, into a bucket of the user's, with the bucket in the
 * endpoint and a key that may delete.
 */
const Bucket = "bring-your-own";
const DATABASE = "app_production_queue";
const LONG_AGO = "2020-01-01T00:00:00";
let world: World;
let stack: SandboxStack;

before(async () => {
  world = await up();
  await administrator(world).send(new CreateBucketCommand({ Bucket }));
  const program = async () => {
    const { outputs } = new PostgresBackup("archive", {
      kamal: { config: world.app.config, accessory: "db_archive" },
      database: "all",
      firstBackup: false,
      excludeDatabases: [world.database.name],
      keep: { days: 30, atLeast: 1 },
      maxShrinkPercent: 30,
      globals: false,
      dumpOptions: ["--no-comments"],
      bucket: {
        name: Bucket,
        endpoint: `${world.store.endpoint}/${Bucket}`,
        region: world.store.region,
        accessKeyId: world.store.accessKeyId,
        secretAccessKey: world.store.secretAccessKey,
        allowInsecure: true,
      },
      schedule: world.schedule,
      ssh: { hostKeys: { [world.ssh.host]: world.ssh.hostKey } },
      baseImage: world.image.base,
    });
    await resolved(outputs);
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

const put = (database: string) =>
  administrator(world).send(
    new PutObjectCommand({
      Bucket,
      Key: `${world.app.service}/${database}_${LONG_AGO}.dump`,
      Body: "PGDMP",
    }),
  );

test("with the bucket in the endpoint a backup lands under its own key, without an extra folder", async () => {
  await put(DATABASE);
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
  assert.ok(!keys.some((key) => key.includes(".globals.")), "no roles");
  assert.ok(!keys.some((key) => key.includes(LONG_AGO)), "the container deletes what is too old");
});

test("a command about one of every database says which there are, status judges each", async () => {
  await put("dropped_long_ago");
  const list = await runCli(stack, ["list"]);
  assert.equal(list.code, 1);
  assert.match(
    list.stderr,
    new RegExp(`now .*${DATABASE}.*; in the bucket alone dropped_long_ago\\. Choose one`),
  );
  const status = await runCli(stack, ["status", "--json"]);
  assert.equal(status.code, 0, status.stderr);
  const { databases } = JSON.parse(status.stdout) as {
    databases: { database: string; withinRpo: boolean }[];
  };
  assert.equal(databases.find(({ database }) => database === DATABASE)?.withinRpo, true);
  assert.ok(!databases.some(({ database }) => database === world.database.name), "left out");
});

test("its settings are in the container's environment", async () => {
  const { container } = await outputsOf(stack);
  const { stdout } = await docker([
    "container",
    "inspect",
    "-f",
    "{{json .Config.Env}}",
    container,
  ]);
  const env = JSON.parse(stdout) as string[];
  for (const setting of [
    "POSTGRES_BACKUP_ALL=true",
    `POSTGRES_EXCLUDE_DATABASES=${world.database.name}`,
    "BACKUP_KEEP_DAYS=30",
    "BACKUP_KEEP_AT_LEAST=1",
    "BACKUP_MAX_SHRINK_PERCENT=30",
    "BACKUP_GLOBALS=false",
    "PGDUMP_EXTRA_OPTS=--no-comments",
  ]) {
    assert.ok(env.includes(setting), setting);
  }
});

test("and restores beside the live database", async () => {
  const one = ["--database", DATABASE, "--into", "queue_copy", "--yes"];
  const restore = await runCli(stack, ["restore", "latest", ...one]);
  assert.equal(restore.code, 0, restore.stderr);
  try {
    const tables = "select count(*)::int as n from pg_tables where schemaname = 'public'";
    const [copy] = await query<{ n: number }>(world, tables, "queue_copy");
    const [live] = await query<{ n: number }>(world, tables, DATABASE);
    assert.equal(copy?.n, live?.n);
    assert.notEqual(live?.n, 0);
  } finally {
    await query(world, "drop database queue_copy");
  }
});

test("adopt takes a container of the old image over: its stack boots the new one, the old one is gone, and its backups restore", async (t) => {
  const { app, database, store } = world;
  const secrets = join(app.dir, ".kamal/secrets");
  const files = [app.config, secrets].map((file) => [file, readFileSync(file)] as const);
  t.after(() => {
    for (const [file, bytes] of files) writeFileSync(file, bytes);
  });
  const old = `${app.service}-old_backup`;
  const { stdout: image } = await docker([
    ...["container", "inspect", "-f", "{{.Config.Image}}", database.container],
  ]);
  appendFileSync(
    app.config,
    `  old_backup:
    image: ${image.trim()}
    host: ${world.ssh.host}
    env:
      clear:
        SCHEDULE: "15 4 * * *"
        BACKUP_KEEP_DAYS: 3000
        POSTGRES_HOST: ${database.container}
        POSTGRES_DATABASE: ${DATABASE}
        POSTGRES_USER: ${database.user}
        S3_ENDPOINT: ${store.endpoint}
        S3_REGION: ${store.region}
        S3_BUCKET: ${Bucket}
        S3_PREFIX: of-the-old-image
      secret:
        - POSTGRES_PASSWORD
        - S3_ACCESS_KEY_ID:OLD_KEY_ID
        - S3_SECRET_ACCESS_KEY:OLD_SECRET_KEY
`,
  );
  appendFileSync(
    secrets,
    `OLD_KEY_ID='${store.accessKeyId}'\nOLD_SECRET_KEY='${store.secretAccessKey}'\n`,
  );
  const dump = join(world.dir, "old.dump");
  const words = `pg_dump -Fc -U ${database.user} ${DATABASE} > /tmp/old.dump`;
  await docker(["exec", database.container, "sh", "-c", words]);
  await docker(["cp", `${database.container}:/tmp/old.dump`, dump]);
  await administrator(world).send(
    new PutObjectCommand({
      Bucket,
      Key: `of-the-old-image/${DATABASE}_${LONG_AGO}.dump`,
      Body: readFileSync(dump),
    }),
  );
  await docker([
    ...["run", "--detach", "--name", old, "--env", `S3_BUCKET=${Bucket}`],
    ...["--entrypoint", "sleep", image.trim(), "3600"],
  ]);
  const adopted = await openStack(world, { stack: "adopted" });
  try {
    // What the sandbox declares of a bucket of its own, and names that the other stack has.
    for (const key of ["s3Endpoint", "s3AllowInsecure", "retentionDays", "ageRecipients"]) {
      await adopted.stack.removeConfig(key);
    }
    await adopted.stack.setConfig("name", { value: "adopted" });
    await adopted.stack.setConfig("accessory", { value: "db_adopted" });
    const written = await runCli(adopted, ["adopt", "--config", app.config, "--write"]);
    assert.equal(written.code, 0, written.stderr);
    assert.match(written.stdout, /1 old backup in the folder of-the-old-image/);
    assert.doesNotMatch(readFileSync(app.config, "utf8"), /old_backup/);

    // The sandbox runs the program in this process, whose folder is another than the project's.
    await adopted.stack.setConfig("kamalConfig", { value: app.config });
    const up = await adopted.up();
    assert.equal(up.code, 0, up.output);
    const { stdout: names } = await docker(["ps", "--all", "--format", "{{.Names}}"]);
    assert.ok(!names.split("\n").includes(old), "the old one is gone");
    assert.ok(names.split("\n").includes(`${app.service}-db_adopted`));
    const list = await runCli(adopted, ["list", "--json"]);
    const { backups } = JSON.parse(list.stdout) as { backups: { stamp: string; state: string }[] };
    assert.deepEqual(
      backups.map(({ stamp, state }) => [stamp, state]),
      [[LONG_AGO, "legacy"]],
      list.stderr,
    );
    const place = ["--into", "adopted_copy", "--accept-origin", "--yes"];
    const restore = await runCli(adopted, ["restore", LONG_AGO, ...place]);
    assert.equal(restore.code, 0, restore.stderr);
    const tables = "select count(*)::int as n from pg_tables where schemaname = 'public'";
    assert.deepEqual(
      await query(world, tables, "adopted_copy"),
      await query(world, tables, DATABASE),
    );
    const backup = await runCli(adopted, ["backup"]);
    assert.equal(backup.code, 0, backup.stderr);
    const again = await adopted.up({ expectNoChanges: true });
    assert.equal(again.code, 0, again.output);
  } finally {
    await query(world, "drop database if exists adopted_copy");
    const gone = await adopted.destroy();
    await adopted.close();
    await docker(["rm", "-f", old], { allowFailure: true });
    assert.equal(gone.code, 0, gone.output);
  }
});
