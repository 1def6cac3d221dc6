// tag: last
// It takes the stack away, which every other journey would have to make again.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  HeadBucketCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { containerState, docker, removeContainer } from "../../sandbox/host/docker.ts";
import { administrator, countRows, outputsOf, query, runCli } from "../../sandbox/stack/actors.ts";
import { ensureIdentity } from "../../sandbox/stack/identity.ts";
import { run } from "../../sandbox/world/run.ts";
import { begin, type Journey } from "../support/journey.ts";
import { AgentContainer } from "../support/servers/agentContainer.ts";

let journey: Journey;
let outputs: BackupOutputs;
let kept: string[];
before(async () => {
  journey = await begin();
  outputs = await outputsOf(journey.stack);
  const { bucket: Bucket, prefix } = outputs.location;
  const backup = { Bucket, Key: `${prefix}/a-backup`, Body: "1" };
  await administrator(journey.world).send(new PutObjectCommand(backup));
  const backedUp = await runCli(journey.stack, ["backup"]);
  assert.equal(backedUp.code, 0, backedUp.stderr);
  kept = await keys();
  const destroyed = await journey.stack.destroy();
  assert.equal(destroyed.code, 0, destroyed.output);
});
after(() => journey.stack.close());

/** Every key of the backup, the first thousand. */
async function keys(): Promise<string[]> {
  const { bucket: Bucket, prefix: Prefix } = outputs.location;
  const listed = await administrator(journey.world).send(
    new ListObjectsV2Command({ Bucket, Prefix }),
  );
  return (listed.Contents ?? []).map(({ Key }) => Key ?? "");
}

test("the container is gone, its env file, and the folders that it left empty", async () => {
  assert.equal(await containerState(outputs.container), undefined);
  const { world } = journey;
  const env = join(world.ssh.home, `.kamal/apps/${world.app.service}/env`);
  assert.equal(existsSync(join(env, "accessories/db_backup.env")), false);
  // Kamal itself, or another backup of the application, may have left something there.
  for (const folder of [join(env, "accessories"), env]) {
    assert.notDeepEqual(existsSync(folder) ? readdirSync(folder) : undefined, [], folder);
  }
});

test("deploy.yml and the secrets file are what they were before us", async () => {
  const { dir } = journey.world.app;
  const diff = await run("git", ["diff", "--stat"], { cwd: dir });
  assert.equal(diff.stdout, "");
  assert.doesNotMatch(
    readFileSync(join(dir, ".kamal/secrets"), "utf8"),
    /kamal-postgres-backup|DB_BACKUP/,
  );
});

test("the bucket and its backups are kept, the database is untouched", async () => {
  const s3 = administrator(journey.world);
  const { bucket: Bucket, prefix } = outputs.location;
  await s3.send(new HeadObjectCommand({ Bucket, Key: `${prefix}/a-backup` }));
  assert.deepEqual(await keys(), kept);
  assert.ok((await countRows(journey.world, "pgbench_accounts")) > 0);
});

test("with the bucket and the identity alone the agent restores, and says that the origin was not checked", async (t) => {
  const { world } = journey;
  const { bucket, prefix } = outputs.location;
  const alone = new AgentContainer(`kamal-postgres-backup-${world.id}-alone`);
  t.after(async () => {
    await removeContainer(alone.name);
    await query(world, "drop database if exists after_destroy with (force)", "postgres");
  });
  await alone.start(world, outputs.image, {
    POSTGRES_DATABASE: world.database.name,
    SCHEDULE: "@yearly",
    S3_ENDPOINT: world.store.endpoint,
    S3_ALLOW_INSECURE: "true",
    S3_REGION: world.store.region,
    S3_BUCKET: bucket,
    S3_PREFIX: prefix,
    S3_ACCESS_KEY_ID: world.store.accessKeyId,
    S3_SECRET_ACCESS_KEY: world.store.secretAccessKey,
  });
  const words = ["restore", "latest", "--into", "after_destroy", "--yes", "--identity-stdin"];
  const restored = await docker(["exec", "--interactive", alone.name, "agent", ...words], {
    input: readFileSync(ensureIdentity(world).file, "utf8"),
    allowFailure: true,
  });
  assert.equal(restored.code, 0, restored.stderr);
  assert.match(restored.stderr, /the origin of the backup was not checked.*\(SIGNING_KEYS\)/);
  const [row] = await query<{ n: string }>(
    world,
    "select count(*) as n from pgbench_accounts",
    "after_destroy",
  );
  assert.equal(Number(row?.n), await countRows(world, "pgbench_accounts"));
});

test("with forceDestroy the bucket goes too", async () => {
  journey.stack.configure({ forceDestroy: "true" });
  const up = await journey.stack.up();
  assert.equal(up.code, 0, up.output);
  const { location } = await outputsOf(journey.stack);
  const destroyed = await journey.stack.destroy();
  journey.stack.configure();
  assert.equal(destroyed.code, 0, destroyed.output);
  await assert.rejects(
    administrator(journey.world).send(new HeadBucketCommand({ Bucket: location.bucket })),
  );
});
