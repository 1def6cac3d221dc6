// tag: second sandbox, last
// It takes the server away, and every key that the stack has made.
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { after, before, test } from "node:test";
import { docker, dockerEnvironment, removeContainer } from "../../../sandbox/host/docker.ts";
import { ensureSsh, operatorHome, stopSsh } from "../../../sandbox/services/ssh.ts";
import { countRows, outputsOf, query, runCli } from "../../../sandbox/stack/actors.ts";
import { ensureIdentity } from "../../../sandbox/stack/identity.ts";
import { checkout } from "../../../sandbox/world/paths.ts";
import { type RunResult, run } from "../../../sandbox/world/run.ts";
import { loadSettings } from "../../../sandbox/world/settings.ts";
import { begin, type Journey } from "../../support/journey.ts";
import { blockOf, commandsIn, filledIn } from "../../support/recoveryPage.ts";

/** The blocks of docs/recovery.md, command by command, as somebody types them. `pulumi up` runs in this process. */
let journey: Journey;
let container: string;
let location: { readonly bucket: string; readonly prefix: string };
let programs: string;
let rows: number;

before(async () => {
  journey = await begin();
  const outputs = await outputsOf(journey.stack);
  ({ container, location } = outputs);
  const { code, stderr } = await runCli(journey.stack, ["backup"]);
  assert.equal(code, 0, stderr);
  rows = await countRows(journey.world, "pgbench_accounts");
  assert.notEqual(rows, 0);
  programs = mkdtempSync(join(tmpdir(), "recovery-"));
  const program = (name: string, text: string) => {
    writeFileSync(join(programs, name), `#!/bin/sh\n${text}\n`);
    chmodSync(join(programs, name), 0o755);
  };
  // It looks in the home of the system's list of users, and not in HOME.
  const keygen = (await run("which", ["ssh-keygen"])).stdout.trim();
  program(
    "ssh-keygen",
    `case "$1" in -R) set -- "$@" -f "$HOME/.ssh/known_hosts";; esac; exec '${keygen}' "$@"`,
  );
  program("kamal", `exec '${journey.world.kamal}' "$@"`);
  // Nobody sits at a terminal, who would type the database's name.
  program(
    "npx",
    `[ "$1" = kamal-postgres-backup ] || exit 64
shift
case "$1" in restore) set -- "$@" --yes;; esac
exec '${process.execPath}' '${join(checkout, "cli/main.ts")}' "$@"`,
  );
});

after(async () => {
  if (programs !== undefined) rmSync(programs, { recursive: true });
  await journey?.stack.close();
});

/** Everything that was on the server: the containers, the database's volume, Kamal's files, and its key. */
async function loseServer(): Promise<void> {
  const { world } = journey;
  for (const name of [container, world.database.container]) await removeContainer(name);
  await docker(["volume", "rm", "--force", `${world.app.service}-db-data`]);
  rmSync(join(world.ssh.home, ".kamal"), { recursive: true, force: true });
  await stopSsh();
  for (const end of ["", ".pub"]) rmSync(join(world.dir, `ssh/host_ed25519${end}`));
  const known = join(operatorHome, ".ssh/known_hosts");
  const before = readFileSync(known);
  const { hostKey } = await ensureSsh(await loadSettings());
  // The new server's key is known to nobody yet, but to the provider's console.
  writeFileSync(known, before);
  assert.notEqual(hostKey, world.ssh.hostKey);
  const hostKeys = JSON.stringify({ [world.ssh.host]: hostKey });
  await journey.stack.stack.setConfig("hostKeys", { value: hostKeys });
}

/** Types the commands of a section. @returns what each printed, by its first words */
async function follow(section: string, values: Readonly<Record<string, string>>) {
  const { world, stack } = journey;
  const { host, port } = world.ssh;
  const commands = commandsIn(
    filledIn(blockOf(section), {
      "ssh-keygen -R 192.0.2.10": `ssh-keygen -R [${host}]:${port}`,
      "ssh-keyscan -t ed25519 192.0.2.10": `ssh-keyscan -t ed25519 -p ${port} ${host}`,
      "identity.txt": ensureIdentity(world).file,
      ...values,
    }),
  );
  const env = {
    ...stack.env,
    ...(await dockerEnvironment()),
    PATH: [programs, process.env["PATH"]].join(delimiter),
    PULUMI_STACK: stack.stack.name,
    HOME: operatorHome,
    SSH_AUTH_SOCK: undefined,
  };
  const printed: RunResult[] = [];
  let cwd = world.app.dir;
  for (const command of commands) {
    if (command === "cd backup") cwd = stack.dir;
    else if (command === "pulumi up") {
      const { code, output } = await stack.up();
      assert.equal(code, 0, output);
    } else {
      const options = { cwd, env, allowFailure: true, timeoutMs: 300_000 };
      const result = await run("bash", ["-c", command], options);
      assert.equal(result.code, 0, `${command}: ${result.stdout}${result.stderr}`);
      printed.push(result);
    }
  }
  return { commands: commands.length, text: printed.map(({ stdout }) => stdout).join("") };
}

/** The data is back, and so is what makes the next backup count. */
async function isRecovered(text: string): Promise<void> {
  assert.match(text, /^256 SHA256:\S+ .*\(ED25519\)$/m, "the fingerprint");
  assert.match(text, /Restored app_production from /);
  assert.match(
    text,
    /^This server is another one than in the backup\. The next backup accepts it\.$/m,
  );
  assert.match(text, /^ {2}ALTER ROLE "shop_reporting" PASSWORD '\.\.\.';$/m);
  assert.match(text, /^Backed up app_production of /m);
  assert.match(text, /^Verified app_production of .*: read to the end/m);
  assert.equal(await countRows(journey.world, "pgbench_accounts"), rows);
  const [role] = await query<{ owner: string }>(
    journey.world,
    "select tableowner as owner from pg_tables where tablename = 'daily_totals'",
  );
  assert.equal(role?.owner, "shop_reporting");
  const status = await runCli(journey.stack, ["status", "--json"]);
  assert.equal(status.code, 0, status.stdout + status.stderr);
}

test("the server is gone: docs/recovery.md brings back data, roles and backups", async (t) => {
  await loseServer();
  const started = performance.now();
  const { commands, text } = await follow("The server is gone", {});
  const seconds = Math.round((performance.now() - started) / 1000);
  t.diagnostic(`${commands} commands, ${seconds} s`);
  assert.ok(commands <= 10, `${commands} commands`);
  await isRecovered(text);
});

test("the server and the stack are gone: the stack takes the bucket, and the old backups count", async (t) => {
  const { world, stack } = journey;
  const { bucket, prefix } = location;
  const secrets = readFileSync(join(world.app.dir, ".kamal/secrets"), "utf8");
  const [, keys = ""] = /^DB_BACKUP_SIGNING_KEYS=['"]?([\w,-]+)/m.exec(secrets) ?? [];
  assert.notEqual(keys, "");
  writeFileSync(join(stack.dir, "signing-keys.txt"), `${keys}\n`);
  await loseServer();
  const { name } = stack.stack;
  for (const end of ["json", "json.bak"]) {
    rmSync(join(world.dir, `state/.pulumi/stacks/kamal-postgres-backup/${name}.${end}`), {
      force: true,
    });
  }
  const started = performance.now();
  const { commands, text } = await follow("The server and the stack are gone", {
    "init production": `init ${name}`,
    "shop-backups-4f2a": bucket,
    "shop/production": prefix,
  });
  const seconds = Math.round((performance.now() - started) / 1000);
  t.diagnostic(`${commands} commands, ${seconds} s`);
  assert.ok(commands <= 14, `${commands} commands`);
  const outputs = await outputsOf(stack);
  assert.equal(outputs.location.bucket, bucket, "no new bucket was made");
  await isRecovered(text);
});
