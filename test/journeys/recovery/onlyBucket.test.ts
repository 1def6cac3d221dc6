// tag: second sandbox, last
// The image that the stack has built is all that it wants of it.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import type { AgentEvent } from "../../../agent/runtime/reporter.ts";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { docker, dockerEnvironment, removeContainer } from "../../../sandbox/host/docker.ts";
import { administrator, outputsOf, query, runCli } from "../../../sandbox/stack/actors.ts";
import { ensureIdentity } from "../../../sandbox/stack/identity.ts";
import { sandboxLabel } from "../../../sandbox/world/paths.ts";
import { eventually, run } from "../../../sandbox/world/run.ts";
import { begin, type Journey } from "../../support/journey.ts";
import { commandsIn, stockBlock } from "../../support/recoveryPage.ts";
import { AgentContainer } from "../../support/servers/agentContainer.ts";

/** What the image's own pg_dump (16 or newer) makes, which compresses by itself, in the hands of stock tools and in ours. */
const Bucket = "open-format";
const DATABASE = "open_format";
const ROWS = 20_000;
const PASSWORD = "password-of-the-new-server";

let journey: Journey;
let server: string;
let plain: AgentContainer;
const dir = mkdtempSync(join(tmpdir(), "open-format-"));
mkdirSync(join(dir, "bin"));

before(async () => {
  journey = await begin();
  const { world } = journey;
  server = `kamal-postgres-backup-${world.id}-new-server`;
  await administrator(world)
    .send(new CreateBucketCommand({ Bucket }))
    .catch((error: Error) => {
      // Of an earlier run in the same sandbox.
      if (!/^BucketAlready/.test(error.name)) throw error;
    });
  await query(world, `drop database if exists ${DATABASE} with (force)`, "postgres");
  await query(world, `create database ${DATABASE}`, "postgres");
  await query(
    world,
    `create table t as select i, md5(i::text) as text from generate_series(1, ${ROWS}) i`,
    DATABASE,
  );
  const { image } = await outputsOf(journey.stack);
  const start = async (name: string, more: Record<string, string>) => {
    const container = new AgentContainer(`kamal-postgres-backup-${world.id}-${name}`);
    await container.start(world, image, {
      POSTGRES_DATABASE: DATABASE,
      SCHEDULE: "@yearly",
      S3_ENDPOINT: world.store.endpoint,
      S3_ALLOW_INSECURE: "true",
      S3_REGION: world.store.region,
      S3_BUCKET: Bucket,
      S3_PREFIX: name,
      S3_ACCESS_KEY_ID: world.store.accessKeyId,
      S3_SECRET_ACCESS_KEY: world.store.secretAccessKey,
      ...more,
    });
    return container;
  };
  plain = await start("plain", {});
});

after(async () => {
  rmSync(dir, { recursive: true });
  for (const name of [plain?.name, server]) if (name !== undefined) await removeContainer(name);
  if (journey === undefined) return;
  for (const name of [DATABASE, "by_us"]) {
    await query(journey.world, `drop database if exists ${name} with (force)`, "postgres");
  }
  await journey.stack.close();
});

async function backUp(container: AgentContainer): Promise<Manifest> {
  const { code, stdout, stderr } = await container.exec("agent", "backup", "--json");
  assert.equal(code, 0, stdout + stderr);
  const events = stdout.split("\n").filter((line) => line.startsWith("{"));
  const found = events
    .map((line) => JSON.parse(line) as AgentEvent)
    .find((event) => event.event === "backup");
  assert(found?.event === "backup");
  assert.equal(found.manifest.compression, "pg_dump-zstd");
  return found.manifest;
}

async function read(Key: string): Promise<Buffer> {
  const s3 = administrator(journey.world);
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

async function rowsIn(name: string): Promise<unknown> {
  const [row] = await query<{ n: number }>(journey.world, "select count(*)::int as n from t", name);
  return row?.n;
}

/** A new server beside the sandbox's, of the same image, with another superuser; it sees the test's folder. */
async function startServer(): Promise<void> {
  const { world } = journey;
  const inspect = ["container", "inspect", "-f", "{{.Config.Image}}", world.database.container];
  const { stdout } = await docker(inspect);
  await removeContainer(server);
  const label = ["--label", `${sandboxLabel}=${world.id}`];
  await docker(
    [
      ...["run", "--detach", "--name", server, ...label, "--volume", `${dir}:${dir}`],
      ...["--env", "POSTGRES_PASSWORD", stdout.trim(), "postgres", "-c", "fsync=off"],
    ],
    { env: { POSTGRES_PASSWORD: PASSWORD } },
  );
  await eventually("the new server", 60_000, async () => {
    const asked = await ask("postgres", "select 1");
    return asked === "1" ? true : undefined;
  });
  // The programs of this machine may be older than the backup; those of the server's image are not.
  const { DOCKER_HOST } = await dockerEnvironment();
  for (const name of ["createdb", "pg_restore", "psql", "vacuumdb"]) {
    const forwarded = ["PGHOST", "PGPORT", "PGUSER", "PGPASSWORD"].map((each) => `--env ${each}`);
    writeFileSync(
      join(dir, "bin", name),
      `#!/bin/sh\nDOCKER_HOST='${DOCKER_HOST}' exec docker exec --interactive --workdir "$PWD" ${forwarded.join(" ")} ${server} ${name} "$@"\n`,
    );
    chmodSync(join(dir, "bin", name), 0o755);
  }
}

/** One value, asked over TCP: while the cluster is made, the server listens on its socket alone. */
async function ask(database: string, sql: string): Promise<string> {
  const psql = ["psql", "-XAt", "-h", "127.0.0.1", "-U", "postgres", "-d", database, "-c", sql];
  const words = ["exec", "--env", "PGPASSWORD", server, ...psql];
  const { stdout } = await docker(words, { allowFailure: true, env: { PGPASSWORD: PASSWORD } });
  return stdout.trim();
}

const missingTools = ["aws", "age", "jq", "zstd"].filter(
  (tool) => spawnSync(tool, ["--version"]).error !== undefined,
);

/** A block of commands as somebody types it. @param secret of the key that it names */
async function byStockTools(
  t: TestContext,
  { database }: Manifest,
  { block, secret }: { readonly block: string; readonly secret: string },
): Promise<void> {
  const started = performance.now();
  const { stdout, stderr } = await run("bash", ["-c", block], {
    cwd: join(dir, database),
    input: `${secret}\n${PASSWORD}\n`,
    env: { PATH: [join(dir, "bin"), process.env["PATH"]].join(delimiter), HOME: dir },
    allowFailure: true,
    timeoutMs: 300_000,
  });
  const seconds = Math.round((performance.now() - started) / 1000);
  t.diagnostic(`${commandsIn(block).length} commands, ${seconds} s`);
  const harmless = /ERROR: {2}(?:role|database) "\w+" already exists$|^NOTICE: /;
  const unexpected = stderr.split("\n").filter((line) => line !== "" && !harmless.test(line));
  assert.deepEqual(unexpected, [], stdout);
  assert.match(stdout, /^compared \d+ tables$/m);
  assert.doesNotMatch(stdout, /rows instead of/);
}

/** The secret of the reader's key, which the page leaves to be typed. */
async function readerSecret(): Promise<string> {
  const { stack } = journey;
  const words = ["stack", "export", "--show-secrets", "--stack", stack.stack.name];
  const { stdout } = await run("pulumi", words, { cwd: stack.dir, env: stack.env });
  const found = /"readerSecretAccessKey": \{[^}]*"plaintext": ("(?:[^"\\]|\\.)*")/.exec(stdout);
  return JSON.parse(JSON.parse(found?.[1] ?? '""'));
}

test("the sample comes back on an empty server by the recovery kit: bucket, age identity and stock tools", async (t) => {
  if (missingTools.length > 0) return t.skip(`not installed: ${missingTools.join(", ")}`);
  const { world, stack } = journey;
  const { code, stdout, stderr } = await runCli(stack, ["backup", "--json"]);
  assert.equal(code, 0, stderr);
  const { manifest } = JSON.parse(stdout) as { manifest: Manifest };
  assert.match(manifest.object.key, /\.pgdump\.age$/);
  mkdirSync(join(dir, manifest.database));
  cpSync(ensureIdentity(world).file, join(dir, manifest.database, "identity.txt"));
  await startServer();
  const kit = await runCli(stack, ["recovery-kit", "--json"]);
  assert.equal(kit.code, 0, kit.stderr);
  const { commands } = JSON.parse(kit.stdout) as { commands: string };
  const secret = await readerSecret();
  assert.ok(secret.length > 10 && !kit.stdout.includes(secret), "the page has no secret");
  assert.ok(commands.includes(manifest.takenAt.replace("Z", "")));
  await byStockTools(t, manifest, { block: commands, secret });
  const count = "select count(*) from pgbench_accounts";
  const [row] = await query<{ count: string }>(world, count);
  assert.equal(await ask(manifest.database, count), row?.count);
  assert.equal(
    await ask(
      manifest.database,
      "select tableowner from pg_tables where tablename = 'daily_totals'",
    ),
    "shop_reporting",
  );
});

test("one in clear comes back by docs/recovery.md", async (t) => {
  if (missingTools.length > 0) return t.skip(`not installed: ${missingTools.join(", ")}`);
  const manifest = await backUp(plain);
  assert.match(manifest.object.key, /\/open_format_[^/]+\.pgdump$/);
  mkdirSync(join(dir, manifest.database));
  const { store } = journey.world;
  const block = stockBlock({
    ...{ endpoint: store.endpoint, accessKeyId: store.accessKeyId },
    ...{ bucket: Bucket, prefix: "plain", database: DATABASE },
    stamp: manifest.takenAt.replace("Z", ""),
    ...{ host: "127.0.0.1", port: "5432", user: "postgres" },
  });
  await byStockTools(t, manifest, { block, secret: store.secretAccessKey });
  assert.equal(await ask(DATABASE, "select count(*) from t"), String(ROWS));
});

test("one in clear comes back by us, streamed and through a scratch folder", async () => {
  const { object } = await backUp(plain);
  assert.match(object.key, /\/open_format_[^/]+\.pgdump$/);
  const verified = await plain.exec("agent", "verify");
  assert.equal(verified.code, 0, verified.stderr);
  for (const more of [[], ["--scratch", "/dev/shm"]]) {
    const restored = await plain.exec("agent", "restore", "--into", "by_us", "--yes", ...more);
    assert.equal(restored.code, 0, restored.stderr);
    assert.equal(await rowsIn("by_us"), ROWS);
    await query(journey.world, "drop database by_us with (force)", "postgres");
  }
});

test("one changed byte of one in clear: refused, whether or not pg_restore sees it", async () => {
  const manifest = await backUp(plain);
  const { key } = manifest.object;
  const original = await read(key);
  const s3 = administrator(journey.world);
  for (const place of [0, 0.5, 0.9, 1]) {
    const Body = Buffer.from(original);
    const at = Math.floor(place * (Body.length - 1));
    Body[at] = (Body[at] ?? 0) ^ 1;
    await s3.send(new PutObjectCommand({ Bucket, Key: key, Body }));
    for (const command of ["verify", "restore"]) {
      const words = command === "restore" ? ["--into", "by_us", "--yes"] : [];
      const { code, stderr } = await plain.exec("agent", command, "latest", ...words);
      assert.equal(code, 1, `${command} ${place}`);
      assert.match(stderr, /is damaged: its SHA-256 is/, `${command} ${place}`);
    }
  }
  await s3.send(new PutObjectCommand({ Bucket, Key: key, Body: original }));
});

test("one without its manifest does not count, in clear neither", async () => {
  const { object } = await backUp(plain);
  const Key = object.key.replace(/\.pgdump$/, ".manifest.json");
  await administrator(journey.world).send(new DeleteObjectCommand({ Bucket, Key }));
  const [stamp = ""] = /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.exec(object.key) ?? [];
  const listed = await plain.exec("agent", "list");
  assert.match(listed.stdout, new RegExp(`${stamp}.*incomplete: no manifest`));
  const refused = await plain.exec("agent", "restore", stamp, "--yes");
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /is incomplete: its manifest is missing/);
});
