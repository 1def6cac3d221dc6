// tag: second sandbox
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { CreateBucketCommand } from "@aws-sdk/client-s3";
import { LocalWorkspace, type Stack } from "@pulumi/pulumi/automation/index.js";
import { knownHostName } from "../../../common/ssh/knownHosts.ts";
import { up } from "../../../sandbox/commands/up.ts";
import { docker } from "../../../sandbox/host/docker.ts";
import { type Providers, startProviders } from "../../../sandbox/providers/start.ts";
import { administrator } from "../../../sandbox/stack/actors.ts";
import { resolved } from "../../../sandbox/stack/engine.ts";
import { withoutPrompts } from "../../../sandbox/stack/withoutPrompts.ts";
import { checkout } from "../../../sandbox/world/paths.ts";
import { run } from "../../../sandbox/world/run.ts";
import type { World } from "../../../sandbox/world/world.ts";
import { writerPolicy } from "../../../storage/bucket/iamPolicies.ts";
import { type IamUser, iamUser } from "../../support/iamUser.ts";

/**
 * A new user's first hour, at a terminal: an application with a database, a bucket that exists with a key for it, Pulumi with its
 * state in files. What `init` prints is typed as it stands.
 */
const TARBALL = "kamal-postgres-backup-0.1.0.tgz";
let world: World;
let place: string;
let shop: string;
let home: string;
let bucket: string;
let user: IamUser;
let providers: Providers | undefined;
let env: Record<string, string | undefined>;

before(async () => {
  world = await up();
  place = mkdtempSync(join(tmpdir(), "first-hour-"));
  [shop, home] = [join(place, "shop"), join(place, "home")];
  await git(["clone", "--quiet", world.app.dir, shop], place);
  await git(["rm", "--quiet", "config/deploy.staging.yml"], shop);
  await git(["commit", "--quiet", "-m", "One environment"], shop);
  cpSync(join(world.app.dir, ".kamal"), join(shop, ".kamal"), { recursive: true });
  writeFileSync(join(shop, TARBALL), "the package");
  // Kamal's deploys have left the host's key there.
  const { ssh } = world;
  mkdirSync(join(home, ".ssh"), { recursive: true });
  const line = `${knownHostName(ssh.host, ssh.port)} ${ssh.hostKey}\n`;
  writeFileSync(join(home, ".ssh/known_hosts"), line);

  bucket = `first-hour-${Date.now().toString(36)}`;
  const s3 = administrator(world);
  await s3.send(new CreateBucketCommand({ Bucket: bucket }));
  s3.destroy();
  const rights = writerPolicy({ bucket, prefix: world.app.service, read: true });
  user = await iamUser(world.store, bucket, rights);
  env = {
    ...Object.fromEntries(Object.keys(process.env).map((name) => [name, undefined])),
    PATH: [stubs(), dirname(process.execPath), process.env["PATH"]].join(delimiter),
    HOME: home,
    TERM: "xterm",
    PULUMI_HOME: join(home, ".pulumi-home"),
    // Not the state of whoever runs the tests: Pulumi takes ~ from the system, whatever HOME says.
    PULUMI_BACKEND_URL: `file://${home}`,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
    ...GIT,
  };
});
after(async () => {
  const container = `${world?.app.service}-db_backup`;
  await docker(["rm", "--force", container], { allowFailure: true });
  await providers?.stop();
  await user?.remove();
  if (place !== undefined) rmSync(place, { recursive: true, force: true });
});

const GIT = {
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_SYSTEM: "/dev/null",
  GIT_AUTHOR_NAME: "Ann",
  GIT_AUTHOR_EMAIL: "ann@localhost",
  GIT_COMMITTER_NAME: "Ann",
  GIT_COMMITTER_EMAIL: "ann@localhost",
} as const;

function git(args: readonly string[], cwd: string) {
  return run("git", args, { cwd, env: GIT });
}

/** npm and npx without the network: the package is this checkout, and the tarball stays a file. */
function stubs(): string {
  const folder = join(place, "bin");
  mkdirSync(folder);
  const program = (name: string, text: string) => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(folder, name), 0o755);
  };
  program(
    "npx",
    `case "$1" in
  *.tgz) tarball=$1; shift; exec node '${checkout}/cli/main.ts' "$@" --package "$tarball";;
  kamal-postgres-backup) shift; exec node node_modules/kamal-postgres-backup/cli/main.ts "$@";;
esac
exit 1`,
  );
  program(
    "npm",
    `[ "$*" = install ] && grep -q '"file:${TARBALL}"' package.json && [ -f ${TARBALL} ] || exit 1
mkdir node_modules
for found in '${checkout}'/node_modules/*; do ln -s "$found" node_modules/; done
ln -s '${checkout}' node_modules/kamal-postgres-backup`,
  );
  return folder;
}

/** Types a command at a terminal of its own, and each answer when its question is there. @returns what the terminal showed */
async function play(
  command: string,
  answers: readonly (readonly [prompt: RegExp, answer: string | (() => string)])[],
): Promise<{ readonly code: number | null; readonly shown: string }> {
  // util-linux's script runs it on a pseudo-terminal.
  const child = spawn("script", ["-qfec", command, "/dev/null"], {
    cwd: shop,
    env: env as NodeJS.ProcessEnv,
    stdio: ["pipe", "pipe", "pipe"],
    timeout: 120_000,
  });
  const rest = [...answers];
  let shown = "";
  let since = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const plain = stripVTControlCharacters(text).replaceAll("\r", "");
    shown += plain;
    since += plain;
    const [next] = rest;
    if (next === undefined || !next[0].test(since)) return;
    rest.shift();
    since = "";
    child.stdin.write(`${typeof next[1] === "string" ? next[1] : next[1]()}\r`);
  });
  const code = await new Promise<number | null>((done) => child.on("close", done));
  assert.deepEqual(
    rest.map(([prompt]) => prompt),
    [],
    shown,
  );
  return { code, shown };
}

test("from an application's folder to a first verified backup: init, three commands that it prints, and no edit", async () => {
  const keyFile = join(home, `${world.app.service}-backup-key.txt`);
  const { code, shown } = await play(`npx ./${TARBALL} init --allow-insecure`, [
    [/Number \[1\]: $/, "other"],
    [/Bucket: .*: $/, bucket],
    [/Endpoint, such as .*: $/, world.store.endpoint],
    [/Region .*: $/, world.store.region],
    [/Access key id: $/, user.key.accessKeyId],
    [/Secret key \(not shown\): $/, user.key.secretAccessKey],
    [/cannot delete: good\n[\s\S]*How often\? .*: $/, ""],
    [/kept\? \[30\]: $/, ""],
    [/Which databases\? .* \[app_production\]: $/, ""],
    [/Encrypt, .*: $/, ""],
    [/last five characters: $/, () => readFileSync(keyFile, "utf8").trimEnd().slice(-5)],
  ]);
  assert.equal(code, 0, shown);
  assert.ok(!shown.includes(user.key.secretAccessKey), "the secret key is not shown");
  assert.match(shown, /^Found: .* \(Kamal 2\), PostgreSQL 17 on 127\.0\.0\.1, 1 database\.$/m);
  assert.equal(statSync(keyFile).mode & 0o777, 0o600);
  const [, next = ""] = shown.split(/^Next:\n/m);
  const lines = next
    .split("\n")
    .filter((line) => line.startsWith("  "))
    .map((line) => line.trim());
  const untilBackup = lines.indexOf("pulumi up") + 1;
  assert.equal(1 + untilBackup, 4, `init and ${lines.join("\n")}`);
  assert.equal(1 + lines.length, 5, "the last one commits it");

  // The sandbox has no Docker Hub, from which the image's base comes.
  const program = join(shop, "backup/index.ts");
  const text = readFileSync(program, "utf8");
  const base = `  baseImage: ${JSON.stringify(world.image.base)},\n});\n`;
  writeFileSync(program, text.replace(/^\}\);\n/m, base));

  // In one shell, but for pulumi up: the engine of the sandbox has no host for programs of its own (`sandbox/stack/engine.ts`).
  const at = lines.indexOf("pulumi up");
  const shell = (commands: readonly string[], cwd: string) =>
    run("bash", ["-e", "-c", commands.join("\n")], { cwd, env });
  await shell(lines.slice(0, at), shop);
  const done = await inProject((stack) => stack.up({ onOutput: () => {} }));
  await shell(lines.slice(at + 1), join(shop, "backup"));
  const location = `s3://${bucket}/${world.app.service}/app_production_`;
  assert.match(
    done.stdout,
    new RegExp(`First backup: app_production, .* tables, .* rows, in \\d+ s: ${location}`),
  );
  const { stdout: committed } = await git(["show", "--stat", "--format=%s"], shop);
  assert.match(committed, /backup\/index\.ts/);
  assert.match(committed, /config\/deploy\.yml/);
  for (const secret of [user.key.secretAccessKey, world.database.password]) {
    const found = await run("git", ["grep", "--quiet", secret], { cwd: shop, allowFailure: true });
    assert.equal(found.code, 1, "no secret is in git");
  }
});

/** Runs the program that was written, with the real engine, as `pulumi` would in its folder. */
async function inProject<T>(operate: (stack: Stack) => Promise<T>): Promise<T> {
  const workDir = join(shop, "backup");
  const before = { cwd: process.cwd(), home: process.env["HOME"] };
  process.chdir(workDir);
  process.env["HOME"] = home;
  try {
    // The program names the image's folder from its own.
    providers ??= await startProviders({ only: ["command", "docker"], env: {}, cwd: workDir });
    const envVars = {
      ...Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined)),
      PULUMI_CONFIG_PASSPHRASE_FILE: passphrase(),
      PULUMI_DEBUG_PROVIDERS: providers.debugProviders,
    } as Record<string, string>;
    const program = async () => {
      const { outputs } = await import(pathToFileURL(join(workDir, "index.ts")).href);
      await resolved(outputs);
      return { outputs };
    };
    const stack = await LocalWorkspace.selectStack(
      { stackName: "production", workDir },
      { workDir, envVars, program, pulumiHome: join(home, ".pulumi-home") },
    );
    return await operate(withoutPrompts(stack));
  } finally {
    process.chdir(before.cwd);
    process.env["HOME"] = before.home;
  }
}

const passphrase = () => join(home, `${world.app.service}-backup-passphrase.txt`);

test("right after it status is green, and the backup is in the list", async () => {
  const inBackup = (line: string) =>
    run("bash", ["-e", "-c", line], {
      cwd: join(shop, "backup"),
      env: { ...env, PULUMI_CONFIG_PASSPHRASE_FILE: passphrase() },
      allowFailure: true,
    });
  const status = await inBackup("npx kamal-postgres-backup status");
  assert.equal(status.code, 0, status.stdout + status.stderr);
  const list = await inBackup("npx kamal-postgres-backup list --json");
  const { backups } = JSON.parse(list.stdout) as { backups: { state: string }[] };
  assert.equal(backups.length, 1);
  // Its key is not on the host, so that the list calls it no more than complete.
  assert.equal(backups[0]?.state, "complete");
});
