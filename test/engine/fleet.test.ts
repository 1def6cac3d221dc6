// tag: cloud
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { CreateBucketCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { runCommandLine } from "../../cli/program.ts";
import { parseAddress } from "../../storage/address/address.ts";
import { storeDrillRecord } from "../../storage/catalogue/drillRecords.ts";
import { dumpKey, manifestKey, stampOf } from "../../storage/catalogue/objectKeys.ts";
import { openStore } from "../../storage/s3/client.ts";
import { outputs } from "../cli/support/factories.ts";
import { Text } from "../cli/support/run.ts";
import { administrator } from "../support/compatible.ts";
import { backupManifest, drillRecord } from "../support/manifest.ts";
import { startStore, type TestStore } from "../support/servers/store.ts";

const NAMES = Array.from({ length: 12 }, (_, i) => `app${String(i).padStart(2, "0")}`);
const [LATE, FAILED, LOCKED_OUT] = ["app05", "app03", "app10"];
const BUCKET = "fleet";
const HOUR_MS = 3_600_000;

/** How Pulumi writes a secret that `stack import` is to encrypt. */
const secret = (value: string) => ({
  "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
  plaintext: JSON.stringify(value),
});

describe("twelve applications", () => {
  let store: TestStore;
  let dir: string;
  const environment = { ...process.env };
  before(async () => {
    store = await startStore();
    dir = await mkdtemp(join(tmpdir(), "fleet-"));
    await mkdir(join(dir, "state"));
    Object.assign(process.env, {
      PULUMI_BACKEND_URL: `file://${join(dir, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: "a passphrase of the test",
      PULUMI_SKIP_UPDATE_CHECK: "true",
      NO_COLOR: "1",
    });
    await makeStacks();
    const s3 = administrator(store);
    await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
    await Promise.all(NAMES.map((name) => makeBackups(s3, name)));
    s3.destroy();
  });
  after(async () => {
    for (const name of Object.keys(process.env)) {
      if (!(name in environment)) delete process.env[name];
    }
    Object.assign(process.env, environment);
    await store?.stop();
    await rm(dir, { recursive: true, force: true });
  });

  /** One is made by Pulumi, with its secrets encrypted. The others are its copies, under names of their own. */
  async function makeStacks(): Promise<void> {
    await writeFile(join(dir, "Pulumi.yaml"), "name: fleet\nruntime: nodejs\n");
    const pulumi = (...args: string[]) => promisify(execFile)("pulumi", args, { cwd: dir });
    const [first = ""] = NAMES;
    await pulumi("stack", "init", first);
    const states = join(dir, "state/.pulumi/stacks/fleet");
    const empty = JSON.parse(await readFile(join(states, `${first}.json`), "utf8"));
    const file = join(dir, "import.json");
    const deployment = { ...empty.checkpoint.latest, resources: resourcesOf(first) };
    await writeFile(file, JSON.stringify({ version: 3, deployment }));
    await pulumi("stack", "import", "--stack", first, "--file", file);
    const template = await readFile(join(states, `${first}.json`), "utf8");
    assert(!template.includes(store.secretAccessKey), "the key is encrypted");
    for (const name of NAMES.slice(1)) {
      const copy = template.replaceAll(first, name);
      // Whoever has no passphrase for one of them reads the others all the same.
      const salted = copy.replace(/"salt": *"v1:[^:]+:/, '"salt": "v1:AAAAAAAAAAA=:');
      await writeFile(join(states, `${name}.json`), name === LOCKED_OUT ? salted : copy);
    }
  }

  function resourcesOf(name: string): object[] {
    const location = {
      endpoint: store.endpoint,
      region: "us-east-1",
      bucket: BUCKET,
      prefix: `acme/${name}`,
    };
    const database = `${name}_production`;
    const backup = { ...outputs, name: "shop", database, location, writerKeyId: store.accessKeyId };
    const urn = (type: string, of: string) => `urn:pulumi:${name}::fleet::${type}::${of}`;
    const probe = "pulumi-nodejs:dynamic/kamal-postgres-backup:KeyProbe";
    const root = "pulumi:pulumi:Stack";
    const inputs = {
      bucket: BUCKET,
      prefix: location.prefix,
      access: "restorable",
      accessKeyId: secret(store.accessKeyId),
      secretAccessKey: secret(store.secretAccessKey),
    };
    return [
      { urn: urn(root, `fleet-${name}`), custom: false, type: root, outputs: { backup } },
      { urn: urn(probe, "probe"), custom: false, type: probe, inputs },
    ];
  }

  async function makeBackups(s3: S3Client, name: string): Promise<void> {
    const prefix = `acme/${name}`;
    const database = `${name}_production`;
    const newest = name === LATE ? 31 : 7;
    for (const i of [2, 1, 0]) {
      const stamp = stampOf(new Date(Date.now() - (newest + 24 * i) * HOUR_MS));
      const key = dumpKey(prefix, database, stamp, { compression: "zstd", encryption: "none" });
      const body = Buffer.alloc(4096 - 1024 * i);
      const object = { key, bytes: body.length, sha256: "0".repeat(64) };
      const manifest = backupManifest({ database, takenAt: `${stamp}Z`, object });
      await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: body }));
      const Key = manifestKey(prefix, database, stamp);
      await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: JSON.stringify(manifest) }));
    }
    if (name !== FAILED && name !== "app02") return;
    const { endpoint } = store;
    const address = parseAddress({ endpoint, region: "us-east-1", bucket: BUCKET, prefix });
    const drills = openStore(address, store);
    const startedAt = new Date(Date.now() - 2 * HOUR_MS).toISOString();
    const fault = { verdict: "failed", reason: "public.orders: 4 rows instead of 5" } as const;
    const found = name === FAILED ? fault : {};
    await storeDrillRecord(drills, drillRecord({ database, startedAt, ...found }), []);
    drills.client.destroy();
  }

  async function status(...args: string[]): Promise<{ code: number; out: string }> {
    const out = new Text();
    const input = Object.assign(new PassThrough(), { isTTY: false });
    const code = await runCommandLine(["-C", dir, "status", ...args], {
      input,
      out,
      err: new Text(),
    });
    return { code, out: out.text };
  }

  it("one row for each, and what needs attention decides the exit code", async (t) => {
    const page = join(dir, "page.html");
    const [began, used] = [performance.now(), process.resourceUsage()];
    const { code, out } = await status("--all", "--json", "--html", page);
    const perStack = (performance.now() - began) / NAMES.length;
    const own = process.resourceUsage().userCPUTime - used.userCPUTime;
    t.diagnostic(`${Math.round(perStack)} ms a stack; ${Math.round(own / 1000)} ms CPU of our own`);
    assert.equal(code, 7, out);
    const { applications, attention, unknown } = JSON.parse(out);
    const states = applications.map((one: { stack: string; state: string }) => [
      one.stack,
      one.state,
    ]);
    const special: Record<string, string> = {
      [LATE]: "attention",
      [FAILED]: "attention",
      [LOCKED_OUT]: "unknown",
    };
    assert.deepEqual(
      states,
      NAMES.map((name) => [name, special[name] ?? "ok"]),
    );
    assert.deepEqual([attention, unknown], [2, 1]);
    const of = (name: string) =>
      applications.find(({ stack }: { stack: string }) => stack === name);
    assert.match(of(LATE).attention[0], /newest backup 31 h old, RPO 26 h: missed/);
    assert.match(of(FAILED).attention[0], /the newest drill failed: public\.orders: 4 rows/);
    assert.match(of(LOCKED_OUT).error, /passphrase/);
    const [database] = of("app02").databases;
    assert.equal(database.database, "app02_production");
    assert.deepEqual(database.sizes, [2048, 3072, 4096]);
    assert.equal(database.drill.verdict, "passed");
    assert.equal(of("app02").storedBytes, 9216);
    assert.match(await readFile(page, "utf8"), /<h2 id="application-11">shop app11 /);
  });

  it("those that a file names, in words; all well is 0, one unread is never", async () => {
    const list = join(dir, "stacks.txt");
    await writeFile(list, "app00\n. app01\n");
    const well = await status("--stacks", list);
    assert.match(well.out, /\n {2}shop app00 +ok .* ▄▆█ .*\n {2}shop app01 +ok /);
    assert.match(well.out, /\n2 applications, all is well\n/);
    assert.equal(well.code, 0);
    await writeFile(list, `app00\n${LOCKED_OUT}\n`);
    const unread = await status("--stacks", list);
    assert.match(unread.out, /\n2 applications, 1 could not be read\n/);
    assert.equal(unread.code, 1);
  });
});
