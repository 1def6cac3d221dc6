import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { docker } from "../../../sandbox/host/docker.ts";
import { kamal } from "../../../sandbox/services/kamal.ts";
import { outputsOf, runCli } from "../../../sandbox/stack/actors.ts";
import { checkout, sandboxId } from "../../../sandbox/world/paths.ts";
import { eventually } from "../../../sandbox/world/run.ts";
import { serviceName } from "../../../sandbox/world/settings.ts";
import { begin, type Journey } from "../../support/journey.ts";

/** A volume of ours; `sandbox down` removes those of the application by their name. */
const SCRATCH = `${serviceName(sandboxId(checkout))}-scratch`;
let journey: Journey;
let container: string;
before(async () => {
  journey = await begin({ scratch: SCRATCH });
  container = (await outputsOf(journey.stack)).container;
});
after(() => journey.stack.close());

/** What differs between any two containers made from the same line: identity, time and address. */
const VOLATILE = [
  /^Id$/,
  /^Created$/,
  /^State\.(Pid|StartedAt|FinishedAt|Health\..*)$/,
  /^(ResolvConfPath|HostnamePath|HostsPath|LogPath)$/,
  /^Config\.Hostname$/,
  /^GraphDriver\.Data\./,
  /^NetworkSettings\.(SandboxID|SandboxKey)$/,
  /^NetworkSettings\.Networks\.kamal\.(EndpointID|IPAddress|MacAddress|Aliases\.\d+|DNSNames\.\d+)$/,
];

async function inspect(name: string): Promise<Map<string, unknown>> {
  const { stdout } = await docker(["container", "inspect", name]);
  const fields = new Map<string, unknown>();
  const [found] = JSON.parse(stdout);
  // The engine gives the variables an order of its own each time.
  found.Config.Env.sort();
  flatten(found, "", fields);
  return fields;
}

function flatten(value: unknown, path: string, into: Map<string, unknown>): void {
  if (value === null || typeof value !== "object") into.set(path, value);
  else {
    for (const [key, child] of Object.entries(value)) {
      flatten(child, path === "" ? key : `${path}.${key}`, into);
    }
  }
}

test("kamal config reads the rendered file", async () => {
  const config = await kamal(journey.world, ["config"]);
  assert.equal(config.code, 0, config.stdout);
  assert.match(config.stdout, /db_backup/);
  assert.match(config.stdout, /kamal-postgres-backup\.digest/);
});

/** Each table of a database with the number of its rows and a digest of them, a line each. */
async function contentOf(server: string): Promise<string> {
  const { user, name } = journey.world.database;
  const rows =
    "select count(*) || ' ' || md5(string_agg(t::text, ',' order by t::text)) as x from %s t";
  const table = `query_to_xml(format('${rows.replaceAll("'", "''")}', relid::regclass), false, true, '')`;
  const sql = `select relid::regclass, xpath('//x/text()', ${table}) from pg_stat_user_tables order by relid::regclass::text`;
  const words = ["psql", "-U", user, "-d", name, "-qAtc", sql];
  return (await docker(["exec", server, ...words])).stdout;
}

test("a dump of the live database, streamed over the real connection, fills a new accessory that Kamal boots", async (t) => {
  const { app, registry, database } = journey.world;
  const dump = await runCli(journey.stack, ["dump", "--no-owner"]);
  assert.equal(dump.code, 0, dump.stderr);
  assert.match(dump.stderr, /^Dumped \S+ as it is now: .* of SQL in /m);
  assert.match(dump.stdout, /^-- PostgreSQL database dump complete$/m);
  assert.doesNotMatch(dump.stdout, /"event"/);

  const declared = readFileSync(app.config, "utf8");
  const file = join(app.dir, "dump.sql");
  const server = `${app.service}-db_new`;
  const data = `${server}-data`;
  t.after(async () => {
    const words = ["accessory", "remove", "db_new", "--confirmed"];
    const removed = await kamal(journey.world, words);
    writeFileSync(app.config, declared);
    rmSync(file, { force: true });
    await docker(["volume", "rm", "--force", data], { allowFailure: true });
    assert.equal(removed.code, 0, removed.stdout);
  });
  writeFileSync(file, dump.stdout);
  const accessory = `accessories:
  db_new:
    image: ${registry.server}/postgres:17
    host: 127.0.0.1
    env:
      clear:
        POSTGRES_USER: ${database.user}
        POSTGRES_DB: ${database.name}
      secret:
        - POSTGRES_PASSWORD
    files:
      - dump.sql:/docker-entrypoint-initdb.d/dump.sql
    volumes:
      - ${data}:/var/lib/postgresql/data
`;
  writeFileSync(app.config, declared.replace(/^accessories:\n/m, accessory));
  const boot = await kamal(journey.world, ["accessory", "boot", "db_new"]);
  assert.equal(boot.code, 0, boot.stdout);
  await eventually(`PostgreSQL in ${server}`, 60_000, async () => {
    // Over the network, which it does not listen on while it loads the dump.
    const ready = ["pg_isready", "--quiet", "--host", server, "--dbname", database.name];
    const { code } = await docker(["exec", server, ...ready], { allowFailure: true });
    return code === 0 || undefined;
  });
  const content = await contentOf(server);
  assert.match(content, /pgbench_accounts\|\{"100000 [0-9a-f]{32}"\}/);
  assert.equal(content, await contentOf(database.container));
});

test("kamal secrets print equals what the container got", async () => {
  const printed = await kamal(journey.world, ["secrets", "print"]);
  assert.equal(printed.code, 0, printed.stdout);
  const kamalSecrets = new Map(
    printed.stdout.split("\n").map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]),
  );
  const { stdout } = await docker([
    "container",
    "inspect",
    "-f",
    "{{json .Config.Env}}",
    container,
  ]);
  const env = new Map(
    (JSON.parse(stdout) as string[]).map(
      (line) => line.split(/=(.*)/s).slice(0, 2) as [string, string],
    ),
  );
  for (const [inContainer, inKamal] of [
    ["POSTGRES_PASSWORD", "POSTGRES_PASSWORD"],
    ["S3_ACCESS_KEY_ID", "DB_BACKUP_S3_ACCESS_KEY_ID"],
    ["S3_SECRET_ACCESS_KEY", "DB_BACKUP_S3_SECRET_ACCESS_KEY"],
  ] as const) {
    assert.ok(env.get(inContainer), `${inContainer} is set`);
    assert.equal(kamalSecrets.get(inKamal), env.get(inContainer), inKamal);
  }
  const printedByUs = await runCli(journey.stack, ["env", "--json"]);
  assert.equal(printedByUs.code, 0, printedByUs.stderr);
  const { KAMAL_HOST: _, ...given } = Object.fromEntries(env);
  const ofImage = ["PATH", "NODE_COMPILE_CACHE", "AGENT_STATE_DIR", "TMPDIR", "MALLOC_ARENA_MAX"];
  const ours = Object.entries(given).filter(([name]) => !ofImage.includes(name));
  assert.deepEqual(JSON.parse(printedByUs.stdout), Object.fromEntries(ours), "and so does env");
});

test("our container and the one that kamal boots are equal, field by field, a volume included", async () => {
  const ours = await inspect(container);
  assert.equal(ours.get("HostConfig.Binds.0"), `${SCRATCH}:/scratch`);
  const owner = await docker(["exec", container, "stat", "-c", "%u %a", "/scratch"]);
  assert.equal(owner.stdout.trim(), "10001 700");

  await docker(["rm", "-f", container]);
  const boot = await kamal(journey.world, ["accessory", "boot", "db_backup"]);
  assert.equal(boot.code, 0, boot.stdout);
  const theirs = await inspect(container);

  assert.notEqual(ours.get("Id"), theirs.get("Id"));
  const paths = new Set([...ours.keys(), ...theirs.keys()]);
  const different = [...paths]
    .filter((path) => !VOLATILE.some((pattern) => pattern.test(path)))
    .filter((path) => ours.get(path) !== theirs.get(path))
    .map((path) => `${path}: ours ${ours.get(path)}, Kamal's ${theirs.get(path)}`);
  assert.deepEqual(different, []);
});

test("up with an unchanged program keeps Kamal's container", async () => {
  const before = await inspect(container);
  const up = await journey.stack.up({ expectNoChanges: true });
  assert.equal(up.code, 0, up.output);
  assert.equal((await inspect(container)).get("Id"), before.get("Id"));
});

test("a block that was edited by hand and booted by kamal: drift names the container's settings, and up heals them once kamal's lock is released", async () => {
  const file = journey.world.app.config;
  const declared = readFileSync(file, "utf8");
  const edited = declared
    .replace("memory: 256m", "memory: 300m")
    .replace(/SCHEDULE: .*/, 'SCHEDULE: "45 5 * * *"')
    .replace(/^ +stop-timeout: .*\n/m, "");
  writeFileSync(file, edited);
  const reboot = await kamal(journey.world, ["accessory", "reboot", "db_backup"]);
  assert.equal(reboot.code, 0, reboot.stdout);
  // The label still says that the container is as declared.
  writeFileSync(file, declared);
  const drift = await runCli(journey.stack, ["drift"]);
  assert.equal(drift.code, 7, drift.stdout + drift.stderr);
  for (const words of [/memory 256m.*300m/, /env SCHEDULE.*45 5/, /stop-timeout 30.*none/]) {
    assert.match(drift.stdout, words);
  }
  const acquired = await kamal(journey.world, ["lock", "acquire", "-m", "deploying the shop"]);
  assert.equal(acquired.code, 0, acquired.stdout);
  try {
    const refused = await journey.stack.up();
    assert.notEqual(refused.code, 0);
    assert.match(refused.output, /Locked by: .* at 20.*;Message: deploying the shop/);
  } finally {
    const released = await kamal(journey.world, ["lock", "release"]);
    assert.equal(released.code, 0, released.stdout);
  }
  const up = await journey.stack.up();
  assert.equal(up.code, 0, up.output);
  const now = await inspect(container);
  assert.equal(now.get("HostConfig.Memory"), 256 * 1024 * 1024);
  assert.equal(now.get("Config.StopTimeout"), 30);
  const clean = await runCli(journey.stack, ["drift"]);
  assert.doesNotMatch(clean.stdout, /^ *host /m, clean.stdout + clean.stderr);
  const { app, ssh } = journey.world;
  assert.equal(existsSync(join(ssh.home, `.kamal/lock-${app.service}`)), false, "nor is ours held");
});

test("a foreign container of our name makes up fail, and is not touched; an old backup is replaced where it is named", async () => {
  const { stdout: image } = await docker(["container", "inspect", "-f", "{{.Image}}", container]);
  const other = `${journey.world.app.service}-db`;
  const foreign = await docker(["container", "inspect", "-f", "{{.Config.Image}}", other]);
  await docker(["rm", "-f", container]);
  // As process 1 it would let the 30 s pass that its stop gives it.
  const sleeping = ["--entrypoint", "sleep", "--stop-signal", "KILL"];
  const words = ["run", "--detach", "--name", container, ...sleeping];
  await docker([...words, foreign.stdout.trim(), "3600"]);
  try {
    const refused = await journey.stack.up();
    assert.notEqual(refused.code, 0);
    assert.match(refused.output, /did not make: image .*postgres.*, running, started 20/);
    const state = await docker(["container", "inspect", "-f", "{{.State.Status}}", container]);
    assert.equal(state.stdout.trim(), "running");
  } finally {
    await docker(["rm", "-f", container]);
  }
  const old = ["--env", "S3_BUCKET=shop-backups", foreign.stdout.trim(), "3600"];
  await docker([...words, ...old]);
  journey.stack.configure({ replacesContainer: container });
  const up = await journey.stack.up();
  assert.equal(up.code, 0, up.output);
  const left = await docker(["ps", "--all", "--format", "{{.Names}}"]);
  assert.doesNotMatch(left.stdout, /db_backup\.replaced/);
  const back = await docker(["container", "inspect", "-f", "{{.Image}}", container]);
  assert.equal(back.stdout, image);
});

test("a kamal deploy waits for a backup, marks it with what is deployed, and stops without one", async (t) => {
  const { app, registry } = journey.world;
  const hook = join(app.dir, ".kamal/hooks/pre-deploy");
  const own = `#!/bin/sh\n# Of the shop.\ntouch "went-on-$KAMAL_VERSION"\n`;
  mkdirSync(dirname(hook), { recursive: true });
  writeFileSync(hook, own, { mode: 0o755 });
  // A socket, which a program started from here has for its standard error, cannot be opened by another one.
  const [heard, errors] = [
    join(journey.world.dir, "heard"),
    join(journey.world.dir, "heard.errors"),
  ];
  writeFileSync(heard, `#!/bin/sh\nexec '${journey.world.kamal}' "$@" 2>'${errors}'\n`, {
    mode: 0o755,
  });
  const wentOn = (version: string) => join(app.dir, `went-on-${version}`);
  t.after(() => {
    for (const file of [hook, heard, errors, wentOn("v1"), wentOn("v2")])
      rmSync(file, { force: true });
  });
  const id = (await inspect(container)).get("Id");
  journey.stack.configure({ beforeDeploy: "true", beforeDeployMaxAgeMinutes: "60" });
  const up = await journey.stack.up();
  assert.equal(up.code, 0, up.output);
  assert.equal((await inspect(container)).get("Id"), id, "the container needs nothing for it");

  /** The image is all that Kamal wants before the hook; the shop itself plays no part, so its boot fails behind it. */
  const deploy = async (version: string) => {
    const image = `${registry.server}/sandbox/shop:${version}`;
    await docker(["build", "--quiet", "--label", `service=${app.service}`, "-t", image, app.dir]);
    await docker(["push", "--quiet", image]);
    const PATH = `${dirname(journey.world.kamal)}:${process.env["PATH"]}`;
    const words = ["redeploy", "--skip-push", "--version", version];
    const options = { env: { PATH }, timeoutMs: 300_000 };
    const { code, stdout } = await kamal({ ...journey.world, kamal: heard }, words, options);
    return { code, stdout, stderr: readFileSync(errors, "utf8") };
  };
  const first = await deploy("v1");
  assert.match(
    first.stderr,
    /before deploy: Before the deploy of v1: the backup of app_production/,
  );
  assert.match(first.stdout, /Detect stale containers/, first.stdout);
  assert.ok(existsSync(wentOn("v1")), "what the hook did before, it does");
  const list = await runCli(journey.stack, ["list"]);
  assert.match(list.stdout, /before deploy v1/);
  const identity = join(journey.world.dir, "identity.txt");
  const words = ["restore", "--before-deploy", "v1", "--dry-run", "--identity", identity];
  const planned = await runCli(journey.stack, words);
  assert.equal(planned.code, 0, planned.stderr);

  await docker(["stop", container]);
  const refused = await deploy("v2");
  assert.equal(refused.code, 1);
  assert.match(refused.stdout, /Hook `pre-deploy` failed/);
  assert.match(refused.stdout, /There is no backup for the deploy of v2, so it does not go on/);
  assert.doesNotMatch(refused.stdout, /Detect stale containers/);
  assert.equal(existsSync(wentOn("v2")), false);

  rmSync(hook);
  const drift = await runCli(journey.stack, ["drift"]);
  assert.equal(drift.code, 7, drift.stderr);
  assert.match(drift.stdout, /pre-deploy block +declared as rendered +found missing/);
  writeFileSync(hook, own, { mode: 0o755 });
  const again = await journey.stack.up();
  assert.equal(again.code, 0, again.output);
  assert.match(readFileSync(hook, "utf8"), /^#!\/bin\/sh\n# Of the shop\.\n# >>> /);
  journey.stack.configure();
  const without = await journey.stack.up();
  assert.equal(without.code, 0, without.output);
  assert.equal(readFileSync(hook, "utf8"), own);
});

/** How often Kamal has booted the backup, by its own record. */
function bootsByKamal(): number {
  const { app, ssh } = journey.world;
  const log = readFileSync(join(ssh.home, `.kamal/${app.service}-audit.log`), "utf8");
  return log.match(/Booted db_backup accessory/g)?.length ?? 0;
}

const SCHEDULE = "45 4 * * *";

test("with the driver render pulumi up writes the files alone, Kamal boots, and drift compares", async () => {
  const id = (await inspect(container)).get("Id");
  journey.stack.configure({ driver: "render", schedule: SCHEDULE });
  const up = await journey.stack.up();
  assert.equal(up.code, 0, up.output);
  assert.match(
    up.output,
    /not yet as declared\. Run this in the application's folder: kamal accessory reboot db_backup\b/,
  );
  assert.equal((await inspect(container)).get("Id"), id);
  assert.match(readFileSync(journey.world.app.config, "utf8"), /SCHEDULE: "?45 4 /);
  const drift = await runCli(journey.stack, ["drift"]);
  assert.equal(drift.code, 7, drift.stderr);
  assert.match(drift.stdout, /env SCHEDULE 45 4.*kamal accessory reboot db_backup puts it back/);

  const reboot = await kamal(journey.world, ["accessory", "reboot", "db_backup"]);
  assert.equal(reboot.code, 0, reboot.stdout);
  const after = await runCli(journey.stack, ["drift"]);
  assert.doesNotMatch(after.stdout, /^ *host /m, after.stdout + after.stderr);
  const preview = await journey.stack.preview({ expectNoChanges: true });
  assert.equal(preview.code, 0, preview.output);
});

test("with the driver kamal pulumi up has Kamal boot, and a container that is not fit is a failure, though Kamal ends with 0", async () => {
  const byKamal = { driver: "kamal", schedule: SCHEDULE };
  journey.stack.configure({ ...byKamal, databasePassword: "wrong" });
  const before = bootsByKamal();
  const wrong = await journey.stack.up();
  assert.notEqual(wrong.code, 0);
  assert.match(
    wrong.output,
    /kamal accessory reboot db_backup in \S+ ended without an error, and of \S+db_backup on \S+: it is not fit to back up: .*password authentication failed/s,
  );
  assert.equal(bootsByKamal(), before + 1);

  journey.stack.configure(byKamal);
  const right = await journey.stack.up();
  assert.equal(right.code, 0, right.output);
  assert.equal(bootsByKamal(), before + 2);
  const id = (await inspect(container)).get("Id");
  const again = await journey.stack.up({ expectNoChanges: true });
  assert.equal(again.code, 0, again.output);

  journey.stack.configure({ schedule: SCHEDULE });
  const ssh = await journey.stack.up();
  assert.equal(ssh.code, 0, ssh.output);
  assert.equal((await inspect(container)).get("Id"), id, "another driver boots nothing by itself");
});
