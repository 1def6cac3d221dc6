// tag: second sandbox
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import pg from "pg";
import type { BackupOutputs } from "../../../common/contracts/stackOutputs.ts";
import { docker } from "../../../sandbox/host/docker.ts";
import { outputsOf, query, runCli } from "../../../sandbox/stack/actors.ts";
import { ensureIdentity } from "../../../sandbox/stack/identity.ts";
import { begin, type Journey } from "../../support/journey.ts";

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
  await query(
    world,
    `drop table if exists people; create table people (id int primary key, mail text);
     insert into people select i, '${CANARY}-' || i || '@example.com' from generate_series(1, 2000) i`,
  );
  const { code, stderr } = await runCli(stack, ["backup", "--json", "--accept"]);
  assert.equal(code, 0, stderr);
});

after(async () => {
  if (journey !== undefined) {
    await query(journey.world, "drop table if exists people");
    const own = ["--filter", `label=kamal-postgres-backup.pull=${name}`];
    const left = await docker(["ps", "--all", "--quiet", ...own]);
    for (const id of words(left.stdout)) await docker(["rm", "--force", "--volumes", id]);
    const volumes = await docker(["volume", "ls", "--quiet", ...own]);
    for (const id of words(volumes.stdout)) await docker(["volume", "rm", id]);
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
