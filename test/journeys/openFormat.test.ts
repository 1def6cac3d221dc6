// tag: second sandbox, last
// The image that the stack has built is all that it wants of it.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import type { AgentEvent } from "../../agent/runtime/reporter.ts";
import { encodeBech32 } from "../../common/age/bech32.ts";
import { formatRecipient, publicKeyOf } from "../../common/age/keys.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { docker, removeContainer } from "../../sandbox/host/docker.ts";
import { administrator, outputsOf, query } from "../../sandbox/stack/actors.ts";
import { begin, type Journey } from "../support/journey.ts";
import { AgentContainer } from "../support/servers/agentContainer.ts";

/** What the image's own pg_dump (16 or newer) makes, which compresses by itself, in the hands of stock tools and in ours. */
const Bucket = "open-format";
const DATABASE = "open_format";
const ROWS = 20_000;
const identity = Buffer.alloc(32, 0x17);
const identityText = encodeBech32("age-secret-key-", identity).toUpperCase();

let journey: Journey;
let sealed: AgentContainer;
let plain: AgentContainer;
const dir = mkdtempSync(join(tmpdir(), "open-format-"));

before(async () => {
  journey = await begin();
  const { world } = journey;
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
  sealed = await start("sealed", { AGE_RECIPIENTS: formatRecipient(publicKeyOf(identity)) });
});

after(async () => {
  rmSync(dir, { recursive: true });
  for (const container of [plain, sealed]) {
    if (container !== undefined) await removeContainer(container.name);
  }
  if (journey === undefined) return;
  for (const name of [DATABASE, "by_stock_tools", "by_us"]) {
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

test("an encrypted backup comes back by age and pg_restore alone", async (t) => {
  const { object } = await backUp(sealed);
  assert.match(object.key, /\/open_format_[^/]+\.pgdump\.age$/);
  if (spawnSync("age", ["--version"]).error !== undefined) {
    return t.skip("the age program is not installed");
  }
  const key = join(dir, "key");
  writeFileSync(key, `${identityText}\n`, { mode: 0o600 });
  const archive = execFileSync("age", ["-d", "-i", key], { input: await read(object.key) });
  const { container, user } = journey.world.database;
  await query(journey.world, "create database by_stock_tools", "postgres");
  const restore = ["pg_restore", "--exit-on-error", "-U", user, "-d", "by_stock_tools"];
  await docker(["exec", "--interactive", container, ...restore], { input: archive });
  assert.equal(await rowsIn("by_stock_tools"), ROWS);
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
