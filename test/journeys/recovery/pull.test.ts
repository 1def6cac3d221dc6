// tag: second sandbox
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import pg from "pg";
import type { BackupOutputs } from "../../../common/contracts/stackOutputs.ts";
import { docker } from "../../../sandbox/host/docker.ts";
import { outputsOf, runCli } from "../../../sandbox/stack/actors.ts";
import { ensureIdentity } from "../../../sandbox/stack/identity.ts";
import { checkout } from "../../../sandbox/world/paths.ts";
import { eventually } from "../../../sandbox/world/run.ts";
import { begin, type Journey } from "../../support/journey.ts";
import { dropPeople, makePeople } from "./people.ts";

interface Pulled {
  masked: number;
  tables: number;
  compared: boolean;
  server: { name: string; volume: string; port: number; passwordFile: string; remove: string };
}

const CANARY = "canary-5d1c";
const dir = mkdtempSync(join(tmpdir(), "pull-"));
const mask = join(dir, "mask.sql");
let journey: Journey;
let outputs: BackupOutputs;
let options: string[];
let name: string;

before(async () => {
  journey = await begin();
  const { world, stack } = journey;
  outputs = await outputsOf(stack);
  name = `pull-${world.id}`;
  const { stdout } = await docker([
    ...["container", "inspect", "--format", "{{.Config.Image}}"],
    world.database.container,
  ]);
  options = [
    ...["--identity", ensureIdentity(world).file, "--network", "kamal"],
    ...["--image", stdout.trim(), "--server", name],
  ];
  await makePeople(journey, CANARY);
});

after(async () => {
  if (journey !== undefined) {
    await dropPeople(journey);
    const left = await own();
    for (const id of left.containers) await docker(["rm", "--force", "--volumes", id]);
    for (const id of left.volumes) await docker(["volume", "rm", id]);
  }
  rmSync(dir, { recursive: true });
  await journey?.stack.close();
});

const words = (text: string) => text.split(/\s+/).filter(Boolean);

async function pull(...args: string[]) {
  const env = { HOME: dir };
  const { code, stdout, stderr } = await runCli(
    journey.stack,
    ["pull", "--json", ...options, ...args],
    env,
  );
  return { code, stderr, pulled: code === 0 ? (JSON.parse(stdout) as Pulled) : undefined };
}

/** As a developer's program reaches it, by what was printed. */
async function ask(
  { server }: Pulled,
  sql: string,
  database = outputs.database,
): Promise<Record<string, unknown>[]> {
  const line = readFileSync(server.passwordFile, "utf8").trim();
  const [host, port, , user, password] = line.split(":");
  const client = new pg.Client({ host, port: Number(port), user, password, database });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Files of the server's data folder, WAL and temporary files included, in which a text stands. */
async function filesWith(text: string, { server }: Pulled): Promise<string[]> {
  const search = ["grep", "-rlaF", "--", text, "/pgdata"];
  const found = await docker(["exec", server.name, ...search], { allowFailure: true });
  return words(found.stdout);
}

test("a masked pull: what was masked is nowhere on the disk, and was nowhere before", async () => {
  writeFileSync(
    mask,
    `-- nobody's address
     UPDATE people SET mail = 'person-' || id || '@example.com';
     CREATE TABLE seen AS SELECT pg_read_file('/proc/self/mounts') AS mounts,
       current_setting('data_directory') AS folder, pg_read_file('/proc/net/dev') AS network;`,
  );
  const { code, pulled, stderr } = await pull("--mask", mask);
  assert.equal(code, 0, stderr);
  assert.ok(pulled);
  assert.deepEqual([pulled.masked, pulled.compared], [2, true]);
  const [row] = await ask(pulled, "select count(*)::int as n, min(mail) as mail from people");
  assert.deepEqual(row, { n: 2000, mail: "person-1000@example.com" });
  // The search finds what is there, and not what was masked.
  await ask(pulled, "checkpoint");
  assert.notDeepEqual(await filesWith("person-1999@", pulled), []);
  assert.deepEqual(await filesWith(CANARY, pulled), []);
  const [seen] = await ask(pulled, "select * from seen");
  const mounts = String(seen?.["mounts"])
    .trim()
    .split("\n")
    .map((line) => line.split(" "));
  const onDisk = mounts
    .filter(
      ([, , type, flags]) =>
        !/^(?:tmpfs|proc|sysfs|devpts|mqueue|cgroup2?)$/.test(type ?? "") &&
        flags?.split(",").includes("rw"),
    )
    .map(([, folder]) => folder);
  assert.deepEqual(
    onDisk.filter((folder) => !/^\/etc\/(?:hosts|hostname|resolv\.conf)$/.test(folder ?? "")),
    [],
  );
  const folder = String(seen?.["folder"]);
  assert.ok(mounts.some(([, at, type]) => type === "tmpfs" && folder.startsWith(`${at}/`)));
  assert.deepEqual(
    words(String(seen?.["network"])).filter((word) => word.endsWith(":")),
    ["lo:"],
  );
  assert.equal(statSync(pulled.server.passwordFile).mode & 0o777, 0o600);
});

test("a mask that fails, or a production server as the target: refused, and the earlier server is as before", async () => {
  const before = await ask(
    { server: await running() } as Pulled,
    "select count(*)::int as n from seen",
  );
  writeFileSync(mask, "UPDATE people SET mail = NULL;\nUPDATE no_such_table SET x = 1;");
  const failed = await pull("--mask", mask, "--yes");
  assert.equal(failed.code, 1);
  assert.match(
    failed.stderr,
    /the mask failed at line 2 \(UPDATE no_such_table SET x = 1\): relation "no_such_table" does not exist\./,
  );
  const { user, password, host, port } = journey.world.database;
  const to = `postgres://${user}:${password}@${host}:${port}/shop_dev`;
  const production = await pull("--to", to, "--yes");
  assert.equal(production.code, 1);
  assert.match(production.stderr, /--to leads to the very server that was backed up \(system/);
  assert.ok(!production.stderr.includes(password));
  const after = await ask(
    { server: await running() } as Pulled,
    "select count(*)::int as n from seen",
  );
  assert.deepEqual(after, before);
});

test("Ctrl-C while the new server is filled: everything of it goes, and the earlier one stays", async () => {
  const before = await own();
  writeFileSync(mask, "UPDATE people SET mail = NULL");
  const { stack } = journey;
  const where = ["--stack", stack.stack.name, "--cwd", stack.dir];
  const typed = [join(checkout, "cli", "main.ts"), "pull", "--mask", mask, "--yes"];
  const child = spawn(process.execPath, [...typed, ...options, ...where], {
    env: { ...process.env, ...stack.env, HOME: dir },
    stdio: "ignore",
  });
  const ended = once(child, "close");
  await eventually("the server that is filled", 120_000, async () =>
    (await own()).containers.length > before.containers.length ? true : undefined,
  );
  child.kill("SIGINT");
  const [code] = (await ended) as [number | null];
  assert.equal(code, 130);
  assert.deepEqual(await own(), before);
});

test("without a mask: only when that was agreed to; it takes the earlier server's place and port", async () => {
  const earlier = await running();
  const silent = await pull();
  assert.equal(silent.code, 1);
  assert.match(silent.stderr, /pull asks before it replaces a server, or brings unmasked data/);
  const { code, stderr, pulled } = await pull("--yes");
  assert.equal(code, 0, stderr);
  assert.ok(pulled);
  assert.equal(pulled.server.port, earlier.port);
  assert.notEqual(pulled.server.volume, earlier.volume);
  const [row] = await ask(
    pulled,
    "select count(*)::int as n from people where mail like 'canary%'",
  );
  assert.deepEqual(row, { n: 2000 });
  assert.notDeepEqual(await filesWith(CANARY, pulled), []);
  assert.deepEqual(await own(), { containers: [name], volumes: [pulled.server.volume] });
});

test("a part: only the tables that were named, or no rows at all, into a new database of a given server", async () => {
  const server = await running();
  const [, , , user] = readFileSync(server.passwordFile, "utf8").trim().split(":");
  const address = (database: string) => `postgres://${user}@127.0.0.1:${server.port}/${database}`;
  process.env["PGPASSFILE"] = server.passwordFile;
  const table = await pull("--table", "people", "--to", address("people_alone"), "--yes");
  assert.equal(table.code, 0, table.stderr);
  const tables = "select count(*)::int as n from pg_tables where schemaname = 'public'";
  const rows = "select count(*)::int as n from people";
  const pulled = { server } as Pulled;
  assert.deepEqual(await ask(pulled, tables, "people_alone"), [{ n: 1 }]);
  assert.deepEqual(await ask(pulled, rows, "people_alone"), [{ n: 2000 }]);
  const schema = await pull("--schema-only", "--to", address("schema_alone"));
  assert.equal(schema.code, 0, schema.stderr);
  assert.deepEqual(await ask(pulled, rows, "schema_alone"), [{ n: 0 }]);
  const again = await pull("--schema-only", "--to", address("schema_alone"));
  assert.match(again.stderr, /--to: the database schema_alone exists already/);
});

/** Containers and volumes of the pulls of this file. */
async function own(): Promise<{ containers: string[]; volumes: string[] }> {
  const filter = ["--filter", `label=kamal-postgres-backup.pull=${name}`];
  const [containers, volumes] = await Promise.all([
    docker(["ps", "--all", ...filter, "--format", "{{.Names}}"]),
    docker(["volume", "ls", ...filter, "--format", "{{.Name}}"]),
  ]);
  return { containers: words(containers.stdout), volumes: words(volumes.stdout) };
}

/** The server that pulls have left until now. */
async function running(): Promise<Pulled["server"]> {
  const format =
    '{{index .Config.Labels "kamal-postgres-backup.pull.volume"}} {{index .Config.Labels "kamal-postgres-backup.pull.port"}}';
  const { stdout } = await docker(["container", "inspect", "--format", format, name]);
  const [volume = "", port = ""] = words(stdout);
  const passwordFile = join(dir, ".kamal-postgres-backup", `${name}.pgpass`);
  return { name, volume, port: Number(port), passwordFile, remove: "" };
}
