// tag: second sandbox
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import type { DrillRecord } from "../../../common/contracts/drillRecord.ts";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import {
  checkSignature,
  parseSigningKeys,
  signManifest,
} from "../../../common/contracts/manifestMac.ts";
import type { BackupOutputs } from "../../../common/contracts/stackOutputs.ts";
import { docker } from "../../../sandbox/host/docker.ts";
import { administrator, outputsOf, query, runCli } from "../../../sandbox/stack/actors.ts";
import { ensureIdentity } from "../../../sandbox/stack/identity.ts";
import { checkout } from "../../../sandbox/world/paths.ts";
import { eventually } from "../../../sandbox/world/run.ts";
import { begin, type Journey } from "../../support/journey.ts";

type Drilled = DrillRecord & {
  kept?: { container: string; reach: string; remove: string };
  recorded: string | null;
  recordError?: string;
};

let journey: Journey;
let outputs: BackupOutputs;
let options: string[];
let first: Manifest;
const dir = mkdtempSync(join(tmpdir(), "drill-"));

before(async () => {
  journey = await begin();
  const { world, stack } = journey;
  outputs = await outputsOf(stack);
  const inspect = [
    "container",
    "inspect",
    "--format",
    "{{.Config.Image}}",
    world.database.container,
  ];
  const image = (await docker(inspect)).stdout.trim();
  options = ["--identity", ensureIdentity(world).file, "--image", image, "--network", "kamal"];
  first = await backUp();
});

after(async () => {
  rmSync(dir, { recursive: true });
  await journey?.stack.close();
});

async function backUp(): Promise<Manifest> {
  const { code, stdout, stderr } = await runCli(journey.stack, ["backup", "--json"]);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout).manifest;
}

/** The declaration with something said of drills, as a file for `--outputs`: it costs no `pulumi up`. */
function declaring(drill: BackupOutputs["drill"]): string[] {
  const file = join(dir, "outputs.json");
  writeFileSync(file, JSON.stringify({ ...outputs, drill }));
  return ["--outputs", file];
}

async function drill(words: readonly string[], env: Record<string, string> = {}) {
  const args = ["drill", "--json", ...options, ...words];
  const { code, stdout, stderr } = await runCli(journey.stack, args, env);
  assert.match(stdout, /^\{/, stderr);
  const document = JSON.parse(stdout) as { verdict: string; drills: Drilled[] };
  const [record] = document.drills;
  assert.ok(record);
  return { code, record, verdict: document.verdict, stderr };
}

/** Names of the drills of this file. The engine may have others, of a sandbox beside this one. */
const own = new Set<string>();

/** What is left on this machine of these drills: containers, by their images, and volumes. */
async function leftovers(): Promise<string[]> {
  const filter = ["--filter", "label=kamal-postgres-backup.drill"];
  const [containers, volumes] = await Promise.all([
    docker(["ps", "--all", ...filter, "--format", "{{.Names}} {{.Image}}"]),
    docker(["volume", "ls", ...filter, "--format", "{{.Name}}"]),
  ]);
  const found = containers.stdout.split("\n").map((line) => line.split(" "));
  const names = found
    .filter(([, image = ""]) => image.startsWith(`${journey.world.registry.server}/`))
    .map(([name = ""]) => name);
  for (const name of names) own.add(name.replace("-agent", ""));
  const left = volumes.stdout.split("\n").filter((name) => own.has(name));
  return [...names, ...left.map((name) => `volume ${name}`)];
}

/** A drill that is ended by a signal once its server runs. */
async function endedBy(signal: NodeJS.Signals): Promise<number | null> {
  const { stack } = journey;
  const main = join(checkout, "cli", "main.ts");
  const where = ["--stack", stack.stack.name, "--cwd", stack.dir];
  const child = spawn(process.execPath, [main, "drill", ...options, ...where], {
    env: { ...process.env, ...stack.env },
    stdio: ["ignore", "ignore", "ignore"],
  });
  const ended = once(child, "close");
  await eventually("the throw-away server", 120_000, async () =>
    (await leftovers()).some((name) => /^kamal-[a-z-]*-drill-[0-9a-f]+$/.test(name))
      ? true
      : undefined,
  );
  child.kill(signal);
  const [code] = (await ended) as [number | null];
  return code;
}

/** The server that was kept: it can be reached as was printed, reaches nothing itself, and goes as was printed. */
async function lookAtKept({ kept }: Drilled): Promise<void> {
  assert.ok(kept);
  const reach = kept.reach.replace(" --tty", "").replace(/^docker /, "");
  const asked = await docker(words(`${reach} -At -c 'select count(*) from pgbench_accounts'`));
  const table = first.tables.find(({ name }) => name === "pgbench_accounts");
  assert.equal(asked.stdout.trim(), String(table?.rows));
  // This machine by an address of another network, which every usual network of Docker's leads to.
  const listener = createServer((socket) => socket.end()).listen(0, "0.0.0.0");
  await once(listener, "listening");
  const { port } = listener.address() as AddressInfo;
  const gateway = ["network", "inspect", "kamal", "--format", "{{(index .IPAM.Config 0).Gateway}}"];
  const host = (await docker(gateway)).stdout.trim();
  const dial = `timeout 5 bash -c 'exec 3<>/dev/tcp/${host}/${port}'`;
  try {
    const tried = await docker(["exec", kept.container, "sh", "-c", dial], { allowFailure: true });
    assert.match(tried.stderr, /Network is unreachable/, `it ended with ${tried.code}`);
    await docker(["exec", outputs.container, "sh", "-c", dial]);
  } finally {
    listener.close();
  }
  for (const command of kept.remove.split(" && ")) await docker(words(command).slice(1));
}

/** Words of a command without the shell; what is quoted is one. */
function words(command: string): string[] {
  return [...command.matchAll(/'([^']*)'|(\S+)/g)].map(
    ([, quoted, plain]) => quoted ?? plain ?? "",
  );
}

test("a drill that is killed leaves something behind, and the next one takes it away, passes, and keeps its server without a way out", async () => {
  await endedBy("SIGKILL");
  assert.notDeepEqual(await leftovers(), []);
  const checks = join(dir, "drill.sql");
  writeFileSync(
    checks,
    "-- nobody owes anything\nSELECT aid FROM pgbench_accounts WHERE abalance < -1e9;\n",
  );
  // The killed one's agent ends with its client.
  await eventually("the end of the killed drill's agent", 60_000, async () =>
    (await leftovers()).some((name) => name.endsWith("-agent")) ? undefined : true,
  );
  const hour = declaring({ rtoMs: 3_600_000 });
  const { code, record, stderr } = await drill(["--checks", checks, "--keep", ...hour]);
  assert.deepEqual(
    [code, record.verdict, record.rtoMet],
    [0, "passed", true],
    stderr + record.reason,
  );
  await lookAtKept(record);
  assert.deepEqual(await leftovers(), []);
  const { tables, rows, compared, serverMajor, openedWith } = record;
  assert.deepEqual(
    { tables, rows, compared, serverMajor, openedWith },
    {
      tables: first.tables.length,
      rows: first.tables.reduce((sum, table) => sum + table.rows, 0),
      compared: true,
      serverMajor: first.server.major,
      openedWith: ensureIdentity(journey.world).recipient,
    },
  );
  assert.deepEqual(
    record.checks.map(({ name, passed }) => [name, passed]),
    [["nobody owes anything", true]],
  );
});

test("its record lies beside the backups, signed with the stack's key, and list and status show it", async () => {
  const { code, stdout } = await runCli(journey.stack, ["list", "--json"]);
  assert.equal(code, 0);
  const [newest] = (JSON.parse(stdout) as { drills: DrillRecord[] }).drills;
  assert.equal(newest?.backup?.key, first.object.key);
  const table = await runCli(journey.stack, ["list"]);
  assert.match(table.stdout, new RegExp(`drilled on ${newest?.startedAt.slice(0, 10)}`));
  const stored = await read(`${outputs.location.prefix}/drills/`, newest as DrillRecord);
  assert.equal(checkSignature(stored, await signers(), "drill record"), "signed");
  const late = await runCli(journey.stack, ["status", "--json", ...declaring({ everyMs: 1 })]);
  const [judged] = (JSON.parse(late.stdout) as { drills: { inTime: boolean }[] }).drills;
  assert.deepEqual([late.code, judged?.inTime], [7, false]);
});

test("a drill fails by a check that returns rows, and by a restore over the RTO", async () => {
  const checks = join(dir, "bad.sql");
  writeFileSync(checks, "SELECT aid FROM pgbench_accounts WHERE aid <= 3;");
  const { code, record } = await drill(["--checks", checks, ...declaring({ rtoMs: 1 })]);
  assert.deepEqual(
    [code, record.verdict, record.rtoMet, record.compared],
    [1, "failed", false, true],
  );
  assert.match(record.reason ?? "", /^1 of 1 checks did not pass\. Besides, the restore took /);
  assert.equal(record.checks[0]?.rows, 3);
  assert.deepEqual(await leftovers(), []);
});

test("a drill fails when a row is gone from the data of the object, however well it is signed", async () => {
  const { world } = journey;
  const table = "pgbench_accounts";
  const [row] = await query<{ aid: number; bid: number; abalance: number; filler: string }>(
    world,
    `delete from ${table} where aid = 7 returning *`,
  );
  assert.ok(row);
  const fewer = await backUp();
  const back = `insert into ${table} values (${row.aid}, ${row.bid}, ${row.abalance}, '${row.filler}')`;
  await query(world, back);
  const s3 = administrator(world);
  const Bucket = outputs.location.bucket;
  const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: fewer.object.key }));
  const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
  await s3.send(new PutObjectCommand({ Bucket, Key: first.object.key, Body: bytes }));
  const { key } = first.object;
  const { sha256 } = fewer.object;
  const forged = { ...first, object: { key, bytes: bytes.length, sha256 } };
  const Key = key.replace(/\.(?:pgdump|dump\.zst)(?:\.age)?$/, ".manifest.json");
  const signed = JSON.stringify(signManifest(forged, await signers()));
  await s3.send(new PutObjectCommand({ Bucket, Key, Body: signed }));
  const { code, record } = await drill([first.takenAt.replace("Z", "")]);
  assert.deepEqual([code, record.verdict], [1, "failed"]);
  const rows = first.tables.find(({ name }) => name === table)?.rows ?? 0;
  assert.equal(
    record.reason,
    `the restored data differs from the snapshot: public.${table}: ${rows - 1} rows instead of ${rows}.`,
  );
});

test("a drill could not run without Docker, and without the key that opens the backup: neither good nor bad news", async () => {
  const none = await drill([], { DOCKER_HOST: "tcp://127.0.0.1:1" });
  assert.deepEqual([none.code, none.verdict], [3, "couldNotRun"]);
  assert.match(none.record.reason ?? "", /^Docker's engine does not run on this machine/);
  assert.match(none.record.recorded ?? "", /\/drills\/.*\.drill\.json$/);
  options = options.slice(2);
  const { code, record } = await drill([]);
  assert.deepEqual([code, record.verdict], [3, "couldNotRun"]);
  assert.match(record.reason ?? "", /is encrypted for an age key/);
  assert.deepEqual([record.recorded, record.recordError], [null, undefined]);
  options = ["--identity", ensureIdentity(journey.world).file, ...options];
});

test("a stack with several databases: one command drills each of them", async () => {
  const { sibling } = journey.world.database;
  const other = ["--env", `POSTGRES_DATABASE=${sibling}`, outputs.container];
  await docker(["exec", ...other, "agent", "backup", "--accept"]);
  const file = join(dir, "several.json");
  const databases = [outputs.database, sibling];
  writeFileSync(file, JSON.stringify({ ...outputs, databases }));
  const args = ["drill", "--json", ...options, "--outputs", file];
  const { stdout, stderr } = await runCli(journey.stack, args);
  const { drills } = JSON.parse(stdout) as { drills: Drilled[] };
  assert.deepEqual(
    drills.map(({ database }) => database),
    databases,
    stderr,
  );
  assert.equal(drills[1]?.verdict, "passed", drills[1]?.reason ?? "");
});

test("Ctrl-C ends a drill and takes everything away", async () => {
  assert.equal(await endedBy("SIGINT"), 130);
  assert.deepEqual(await leftovers(), []);
});

async function signers() {
  const { stdout } = await docker(["exec", outputs.container, "printenv", "SIGNING_KEYS"]);
  return parseSigningKeys(stdout.trim(), "SIGNING_KEYS");
}

async function read(folder: string, { startedAt, database }: DrillRecord): Promise<unknown> {
  const Key = `${folder}${startedAt.replace("Z", "")}_${database}.drill.json`;
  const { Body } = await administrator(journey.world).send(
    new GetObjectCommand({ Bucket: outputs.location.bucket, Key }),
  );
  return JSON.parse((await Body?.transformToString()) ?? "");
}
