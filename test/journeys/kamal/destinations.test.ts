import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { docker } from "../../../sandbox/host/docker.ts";
import { kamal } from "../../../sandbox/services/kamal.ts";
import { outputsOf, runCli } from "../../../sandbox/stack/actors.ts";
import type { SandboxStack } from "../../../sandbox/stack/engine.ts";
import { run } from "../../../sandbox/world/run.ts";
import { begin, type Journey, openOwn } from "../../support/journey.ts";

/**
 * Three environments of one application on one host, each a stack of the same program: the base, whose block is in
 * deploy.yml, and two destinations. `qa` has its keys in the secrets file that all destinations read, `live` look-ups of its
 * stack's outputs in a file that git carries.
 */
const KEY = "nightly";
const DESTINATIONS = ["qa", "live"] as const;
type Destination = (typeof DESTINATIONS)[number];

let journey: Journey;
const stacks = new Map<Destination, SandboxStack>();
let files: string[];

before(async () => {
  journey = await begin();
  const { app } = journey.world;
  const inApp = (path: string) => join(app.dir, path);
  files = [
    ...DESTINATIONS.map((destination) => inApp(`config/deploy.${destination}.yml`)),
    inApp(".kamal/secrets-common"),
    inApp(".kamal/secrets.live"),
  ];
  for (const destination of DESTINATIONS) {
    const settings = `env:\n  clear:\n    RAILS_ENV: ${destination}\n`;
    writeFileSync(inApp(`config/deploy.${destination}.yml`), settings);
  }
  const own = readFileSync(inApp(".kamal/secrets"), "utf8").match(/^(KAMAL|POSTGRES)_.*\n/gm) ?? [];
  writeFileSync(inApp(".kamal/secrets-common"), own.join(""), { mode: 0o600 });
  writeFileSync(inApp(".kamal/secrets.live"), "# In git: Kamal looks every secret up.\n");
  await run("git", ["add", "--force", ".kamal/secrets.live"], { cwd: app.dir });
});
after(async () => {
  for (const stack of stacks.values()) {
    await stack.destroy();
    await stack.close();
  }
  for (const file of files) rmSync(file, { force: true });
  const { dir } = journey.world.app;
  await run("git", ["rm", "--cached", "--quiet", ".kamal/secrets.live"], { cwd: dir });
  await journey.stack.close();
});

async function open(destination: Destination, config: Record<string, string>): Promise<void> {
  const settings = { destination, jitterSeconds: destination === "qa" ? "5" : "0", ...config };
  const stack = await openOwn(journey.world, {
    stack: destination,
    config: settings,
  });
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

/** As a colleague runs it who has Pulumi and access to the stack. */
function kamalAs(destination: Destination, words: readonly string[]) {
  const env = { ...stackOf(destination).env, PATH: process.env["PATH"] };
  return kamal(journey.world, [...words, "-d", destination], { env });
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

test("Kamal has each destination's own secrets, those that are looked up in the stack's outputs too", async () => {
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
  const tracked = readFileSync(join(journey.world.app.dir, ".kamal/secrets.live"), "utf8");
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
