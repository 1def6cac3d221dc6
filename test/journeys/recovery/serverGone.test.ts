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
import { blocksOf } from "../../project/documents/markdown.ts";
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
  const { world } = journey;
  return type(
    filledIn(blockOf(section), { "identity.txt": ensureIdentity(world).file, ...values }),
  );
}

/** Where the server is another one. */
function newServer(): Readonly<Record<string, string>> {
  const { host, port } = journey.world.ssh;
  return {
    "ssh-keygen -R 192.0.2.10": `ssh-keygen -R [${host}]:${port}`,
    "ssh-keyscan -t ed25519 192.0.2.10": `ssh-keyscan -t ed25519 -p ${port} ${host}`,
  };
}

/** Types the commands of a block, the first of them in the application's folder. */
async function type(block: string) {
  const { world, stack } = journey;
  const commands = commandsIn(block);
  const env = {
    ...stack.env,
    ...(await dockerEnvironment()),
    PATH: [programs, process.env["PATH"]].join(delimiter),
    PULUMI_STACK: stack.stack.name,
    HOME: operatorHome,
    SSH_AUTH_SOCK: undefined,
  };
  const printed: RunResult[] = [];
  // A section that has no "cd backup" begins there.
  let cwd = commands.includes("cd backup") ? world.app.dir : stack.dir;
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

test("someone dropped the table: docs/recovery.md brings it back, and keeps the damaged database", async (t) => {
  const { world, stack } = journey;
  const listed = await runCli(stack, ["list", "--json"]);
  const [newest] = JSON.parse(listed.stdout).backups as { readonly stamp: string }[];
  const time = newest?.stamp.replace("T", " ") ?? "";
  await query(world, "drop table pgbench_accounts");
  const started = performance.now();
  const { commands, text } = await follow("Someone dropped the table", {
    "2026-11-24 03:15:02": time,
  });
  const seconds = Math.round((performance.now() - started) / 1000);
  t.diagnostic(`${commands} commands, ${seconds} s`);
  assert.equal(commands, 2);
  assert.match(text, /Restored app_production from /);
  assert.equal(await countRows(world, "pgbench_accounts"), rows);
  const [, kept = ""] =
    /npx kamal-postgres-backup .*undo (app_production_before_\w+)/.exec(text) ?? [];
  assert.notEqual(kept, "", text);
  const [left] = await query<{ n: string }>(
    world,
    "select count(*) as n from pg_tables where tablename like 'pgbench%'",
    kept,
  );
  assert.equal(left?.n, "3", "the damaged database is as it was");
});

/** Blocks of other pages that need a backup and a server, with the database that they make. */
const OTHER_PAGES: Readonly<Record<string, string | undefined>> = {
  "docs/commands.md": "shop_saved",
  "docs/faq.md": "shop_look",
  "docs/troubleshooting.md": undefined,
};

for (const [page, made] of Object.entries(OTHER_PAGES)) {
  test(`the commands of ${page} do what the page says`, async () => {
    const { world, stack } = journey;
    const remark = "run by test/journeys/recovery/serverGone.test.ts";
    const blocks = blocksOf(page).filter((block) => block.remark === remark);
    assert.notEqual(blocks.length, 0);
    if (page === "docs/faq.md") await query(world, "drop table pgbench_accounts");
    for (const { lines } of blocks) {
      const block = lines
        .join("\n")
        // The sandbox encrypts its backups, and has other names.
        .replace("latest", `latest --identity ${ensureIdentity(world).file}`)
        .replace("exec shop-db ", `exec ${world.database.container} `)
        .replace("public.orders", "public.pgbench_accounts")
        .replace("shop_production", world.database.name);
      await type(block);
    }
    assert.equal(await countRows(world, "pgbench_accounts"), rows);
    if (made !== undefined) {
      const counted = "select count(*) as n from pgbench_accounts";
      const [found] = await query<{ n: string }>(world, counted, made);
      assert.equal(Number(found?.n), rows);
      await query(world, `drop database ${made}`, "postgres");
    }
    if (page === "docs/faq.md") {
      const sql = join(stack.dir, "dump.sql");
      assert.match(readFileSync(sql, "utf8"), /^COPY public\.pgbench_accounts /m);
      rmSync(sql);
    }
  });
}

test("the server is gone: docs/recovery.md brings back data, roles and backups", async (t) => {
  await loseServer();
  const started = performance.now();
  const { commands, text } = await follow("The server is gone", newServer());
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
    ...newServer(),
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
