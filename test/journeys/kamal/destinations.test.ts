import assert from "node:assert/strict";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { docker } from "../../../sandbox/host/docker.ts";
import { findProgram } from "../../../sandbox/host/processes.ts";
import { query } from "../../../sandbox/services/database.ts";
import { kamal } from "../../../sandbox/services/kamal.ts";
import { operatorHome } from "../../../sandbox/services/ssh.ts";
import { outputsOf, runCli } from "../../../sandbox/stack/actors.ts";
import type { SandboxStack } from "../../../sandbox/stack/engine.ts";
import { eventually, type RunResult, run } from "../../../sandbox/world/run.ts";
import { begin, type Journey, openOwn } from "../../support/journey.ts";

/**
 * Three environments of one application on one host, each a stack of the same program: the base, whose block is in
 * deploy.yml, and two destinations. The base has a database of the server `db`, and so has `live`; `qa` has a server of its own,
 * and its keys in the secrets file that all destinations read. `live` has look-ups of its stack's outputs in a file that git
 * carries, and is run from a colleague's clone.
 */
const KEY = "nightly";
const DESTINATIONS = ["qa", "live"] as const;
type Destination = (typeof DESTINATIONS)[number];
type Environment = "base" | Destination;
const ENVIRONMENTS: readonly Environment[] = ["base", ...DESTINATIONS];
const SHARED = "refs/heads/shared";

let journey: Journey;
/** What is in no file of the application: everybody who deploys `live` has it in their environment. */
let typed: { readonly KAMAL_REGISTRY_PASSWORD: string; readonly POSTGRES_PASSWORD: string };
const stacks = new Map<Destination, SandboxStack>();
let files: string[];
/** Of a colleague: a home with nothing but SSH's and Pulumi's own, the clone, a PATH without Node. */
let colleague:
  | { readonly clone: string; readonly env: Readonly<Record<string, string>> }
  | undefined;
let homes: string;

before(async () => {
  journey = await begin();
  homes = mkdtempSync(join(tmpdir(), "colleague-"));
  const { app, database, registry } = journey.world;
  const { service } = app;
  typed = { KAMAL_REGISTRY_PASSWORD: registry.password, POSTGRES_PASSWORD: database.password };
  Object.assign(process.env, typed);
  const write = (path: string, text: string, mode = 0o644) => {
    writeFileSync(join(app.dir, path), text, { mode });
    return join(app.dir, path);
  };
  const rails = (name: string) => `env:\n  clear:\n    RAILS_ENV: ${name}\naccessories:\n  db:\n`;
  const server = `    service: ${service}-qa-db
    port: "127.0.0.1:0:5432"
    volumes:
      - ${service}-qa-db-data:/var/lib/postgresql/data
`;
  const own = readFileSync(join(app.dir, ".kamal/secrets"), "utf8").match(
    /^(KAMAL|POSTGRES)_.*\n/gm,
  );
  const lookedUp = Object.keys(typed).map((name) => `${name}=$${name}\n`);
  files = [
    write("config/deploy.qa.yml", rails("qa") + server),
    write(
      "config/deploy.live.yml",
      `${rails("live")}    env:\n      clear:\n        POSTGRES_DB: app_live\n`,
    ),
    write(".kamal/secrets-common", (own ?? []).join(""), 0o600),
    write(".kamal/secrets.live", lookedUp.join("")),
  ];
  await git(
    "add",
    "--force",
    ".kamal/secrets.live",
    "config/deploy.live.yml",
    "config/deploy.qa.yml",
  );
  await query(database, "postgres", "create database app_live");
  const booted = await kamal(journey.world, ["accessory", "boot", "db", "-d", "qa"]);
  assert.equal(booted.code, 0, booted.stdout);
  await eventually("the server of qa", 60_000, async () => {
    const ready = ["pg_isready", "--quiet", "--host", serverOf("qa")];
    const { code } = await docker(["exec", serverOf("qa"), ...ready], { allowFailure: true });
    return code === 0 || undefined;
  });
  for (const environment of ENVIRONMENTS) {
    if (environment !== "base") {
      await inDatabase(environment, "create table customers (email text, name text, joined date)");
    }
    const values = `('of@example.com', '${environment} as backed up', now())`;
    await inDatabase(environment, `insert into customers (email, name, joined) values ${values}`);
  }
});
after(async () => {
  for (const stack of stacks.values()) {
    await stack.destroy();
    await stack.close();
  }
  const { app, database } = journey.world;
  await kamal(journey.world, ["accessory", "remove", "db", "-d", "qa", "--confirmed"]);
  await docker(["volume", "rm", "--force", `${app.service}-qa-db-data`], { allowFailure: true });
  await query(database, "postgres", "drop database if exists app_live with (force)");
  await inDatabase("base", "delete from customers where email = 'of@example.com'");
  for (const file of files) rmSync(file, { force: true });
  for (const name of Object.keys(typed)) delete process.env[name];
  await git("reset", "--quiet");
  await git("update-ref", "-d", SHARED);
  rmSync(homes, { recursive: true, force: true });
  await journey.stack.close();
});

async function git(...words: readonly string[]): Promise<string> {
  const who = ["-c", "user.name=Ann", "-c", "user.email=ann@localhost"];
  return (await run("git", [...who, ...words], { cwd: journey.world.app.dir })).stdout.trim();
}

const serverOf = (environment: Environment) =>
  `${journey.world.app.service}${environment === "qa" ? "-qa" : ""}-db`;
const databaseOf = (environment: Environment) =>
  environment === "live" ? "app_live" : journey.world.database.name;

async function inDatabase(environment: Environment, sql: string): Promise<string> {
  const words = ["psql", "-U", "app", "-d", databaseOf(environment), "-qAtc", sql];
  return (await docker(["exec", serverOf(environment), ...words])).stdout.trim();
}

/** The row by which the databases differ. */
const customerOf = (environment: Environment) =>
  inDatabase(environment, "select name from customers where email = 'of@example.com'");

async function open(destination: Destination, config: Record<string, string>): Promise<void> {
  // The database is the one that deploy.yml names for the destination.
  const settings = {
    ...{ destination, database: "", jitterSeconds: destination === "qa" ? "5" : "0" },
    ...config,
  };
  // A colleague reads it too, who has the passphrase.
  const options = { stack: destination, config: settings };
  const stack = await openOwn(journey.world, options, "passphrase");
  stacks.set(destination, stack);
}

function stackOf(destination: Destination): SandboxStack {
  return stacks.get(destination) as SandboxStack;
}

const containerOf = (destination: Destination) =>
  `${journey.world.app.service}-${destination}-${KEY}`;

async function environmentOf(container: string): Promise<Record<string, string>> {
  const format = ["container", "inspect", "-f", "{{json .Config.Env}}", container];
  const entries = JSON.parse((await docker(format)).stdout) as string[];
  return Object.fromEntries(entries.map((entry) => entry.split(/=(.*)/s).slice(0, 2)));
}

async function idOf(container: string): Promise<string> {
  return (await docker(["container", "inspect", "-f", "{{.Id}}", container])).stdout.trim();
}

/**
 * A fresh clone of what git has of the application, by a colleague who is logged in to the same Pulumi and has no Node: its own
 * programs are `pulumi` and Kamal.
 */
async function cloneForColleague(): Promise<NonNullable<typeof colleague>> {
  const { world, stack } = journey;
  await git("add", "--update");
  const commit = await git("commit-tree", "-m", "Shared", "-p", "HEAD", await git("write-tree"));
  await git("update-ref", SHARED, commit);
  const clone = join(homes, "shop");
  await run("git", ["clone", "--quiet", "--branch", "shared", world.app.dir, clone]);
  const [home, bin] = [join(homes, "ann"), join(homes, "bin")];
  mkdirSync(home, { mode: 0o700 });
  cpSync(join(operatorHome, ".ssh"), join(home, ".ssh"), { recursive: true });
  mkdirSync(bin);
  const { PULUMI_BACKEND_URL = "", PULUMI_CONFIG_PASSPHRASE_FILE = "" } = stack.env;
  for (const name of ["pulumi", "git", "sh", "whoami"]) {
    symlinkSync(await findProgram(name), join(bin, name));
  }
  const env = { HOME: home, PATH: bin, PULUMI_CONFIG_PASSPHRASE_FILE, ...typed };
  await run("pulumi", ["login", "--non-interactive", PULUMI_BACKEND_URL], { env });
  return { clone, env };
}

/** `live` by the colleague, all else in the operator's own checkout. */
async function kamalAs(destination: Destination, words: readonly string[]): Promise<RunResult> {
  const options = [...words, "-d", destination];
  if (destination === "qa") return kamal(journey.world, options);
  colleague ??= await cloneForColleague();
  const app = { ...journey.world.app, dir: colleague.clone };
  return kamal({ ...journey.world, app }, options, { env: colleague.env });
}

test("each destination with a key of its own is booted and backs up", async () => {
  const base = await idOf(`${journey.world.app.service}-db_backup`);
  const secretsFile = join(journey.world.app.dir, ".kamal/secrets-common");
  await open("qa", { accessory: KEY, secretsFile });
  await open("live", { accessory: KEY, secrets: "outputs" });
  for (const destination of DESTINATIONS) {
    const up = await stackOf(destination).up();
    assert.equal(up.code, 0, up.output);
    const backup = await runCli(stackOf(destination), ["backup"]);
    assert.equal(backup.code, 0, backup.stderr);
  }
  assert.equal(await idOf(`${journey.world.app.service}-db_backup`), base);
});

test("Kamal has each destination's own secrets, in a fresh clone those that it looks up in the stack's outputs", async () => {
  for (const [destination, prefix] of [
    ["qa", "NIGHTLY_QA"],
    ["live", "NIGHTLY"],
  ] as const) {
    const printed = await kamalAs(destination, ["secrets", "print"]);
    assert.equal(printed.code, 0, printed.stdout);
    const lines = printed.stdout.split("\n");
    const environment = await environmentOf(containerOf(destination));
    for (const name of ["S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "SIGNING_KEYS"]) {
      assert.ok(environment[name], name);
      assert.ok(lines.includes(`${prefix}_${name}=${environment[name]}`), `${destination} ${name}`);
    }
  }
  const { clone = "" } = colleague ?? {};
  assert.deepEqual(readdirSync(join(clone, ".kamal")), ["secrets.live"], "nothing else is in git");
  const tracked = readFileSync(join(clone, ".kamal/secrets.live"), "utf8");
  assert.match(tracked, /^NIGHTLY_S3_ACCESS_KEY_ID=\$\(pulumi stack output NIGHTLY_S3/m);
});

test("what Kamal reboots with -d is what was declared for that destination, and it touches no other one", async () => {
  for (const destination of DESTINATIONS) {
    const all = [`${journey.world.app.service}-db_backup`, ...DESTINATIONS.map(containerOf)];
    const others = all.filter((container) => container !== containerOf(destination));
    const before = await Promise.all(others.map(idOf));
    const [id, environment] = [
      await idOf(containerOf(destination)),
      await environmentOf(containerOf(destination)),
    ];
    const reboot = await kamalAs(destination, ["accessory", "reboot", KEY]);
    assert.equal(reboot.code, 0, reboot.stdout);
    assert.notEqual(await idOf(containerOf(destination)), id);
    assert.deepEqual(await environmentOf(containerOf(destination)), environment);
    assert.deepEqual(await Promise.all(others.map(idOf)), before);
  }
  const keys = await Promise.all(
    [...DESTINATIONS.map(containerOf), `${journey.world.app.service}-db_backup`].map(environmentOf),
  );
  assert.equal(new Set(keys.map((each) => each["S3_ACCESS_KEY_ID"])).size, 3);
  assert.equal(new Set(keys.map((each) => each["S3_BUCKET"])).size, 3);
});

const identity = () => ["--identity", join(journey.world.dir, "identity.txt")];
const stackOfAny = (environment: Environment) =>
  environment === "base" ? journey.stack : stackOf(environment);

test("each environment is restored from its own backup, into its own database, and no other one changes", async () => {
  const base = await runCli(journey.stack, ["backup"]);
  assert.equal(base.code, 0, base.stderr);
  const expected = new Map<Environment, string>();
  for (const environment of ENVIRONMENTS) {
    assert.equal(await customerOf(environment), `${environment} as backed up`);
    const change = `update customers set name = '${environment} changed since' where email = 'of@example.com'`;
    await inDatabase(environment, change);
    expected.set(environment, `${environment} changed since`);
  }
  for (const environment of ["live", "base", "qa"] as const) {
    const restore = await runCli(stackOfAny(environment), ["restore", "--yes", ...identity()]);
    assert.equal(restore.code, 0, restore.stdout + restore.stderr);
    expected.set(environment, `${environment} as backed up`);
    for (const each of ENVIRONMENTS) assert.equal(await customerOf(each), expected.get(each));
    // What it has replaced is its own, too.
    const [, kept = ""] = /undo (\S+)/.exec(restore.stdout) ?? [];
    assert.match(kept, new RegExp(`^${databaseOf(environment)}_before_`), restore.stdout);
    const dropped = await runCli(stackOfAny(environment), ["kept", "--drop", kept, "--yes"]);
    assert.equal(dropped.code, 0, dropped.stderr);
  }
});

test("no environment finds a difference after that, and each lists its own backup alone", async () => {
  for (const destination of DESTINATIONS) {
    const preview = await stackOf(destination).preview({ expectNoChanges: true });
    assert.equal(preview.code, 0, preview.output);
    const listed = await runCli(stackOf(destination), ["list", "--json"]);
    assert.equal(listed.code, 0, listed.stderr);
    assert.equal(JSON.parse(listed.stdout).backups.length, 1, listed.stdout);
    const outputs = await outputsOf(stackOf(destination));
    assert.match(outputs.location.prefix, new RegExp(`/${destination}$`));
  }
  const preview = await journey.stack.preview({ expectNoChanges: true });
  assert.equal(preview.code, 0, preview.output);
});
