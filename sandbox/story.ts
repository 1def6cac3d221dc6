/** `npm start`: the whole product once, on real parts, with a sentence before each step. */
import { strict as assert } from "node:assert";
import { up as sandboxUp } from "./commands/up.ts";
import { type Providers, startProviders } from "./providers/start.ts";
import { kamal } from "./services/kamal.ts";
import {
  changeExpiry,
  countRows,
  keptDatabases,
  outputsOf,
  query,
  renderedDiff,
  runCli,
  stopContainer,
} from "./stack/actors.ts";
import { openStack, type SandboxStack, storeEnvironment } from "./stack/engine.ts";
import { ensureIdentity } from "./stack/identity.ts";
import { Narrator } from "./stack/narrator.ts";
import type { World } from "./world/world.ts";

const TABLE = "pgbench_accounts";
const ACCESSORY = "db_backup";

const tell = new Narrator();
let world!: World;
let providers: Providers | undefined;
let stack!: SandboxStack;
let identity!: readonly string[];

try {
  await tell.step(
    "sandbox",
    "A Kamal application with its database, an SSH host, a registry and an S3 service start on this machine.",
    async () => {
      world = await sandboxUp({ log: (line) => console.log(`    ${line}`) });
      // Pulumi's own provider of dynamic resources, too: each of ten operations would start it anew.
      providers = await startProviders({ env: storeEnvironment(world), dynamic: "warm" });
      stack = await openStack(world, { providers });
      identity = ["--identity", ensureIdentity(world).file];
      console.log(
        "    Pulumi's plugins; a stand-in is a program of this checkout that keeps the real one's contract, for the sandbox and tests only:",
      );
      for (const line of stack.providers.report) console.log(`      ${line}`);
      return `up in ${world.dir}`;
    },
  );

  await tell.step(
    "preview",
    "`pulumi preview` says what a backup of app_production needs, and touches nothing.",
    async () => {
      const preview = await stack.preview();
      succeeded(preview.code, preview.output);
      return summarise(preview.changes);
    },
  );

  await tell.step(
    "up",
    "`pulumi up` makes bucket, expiry rule and key, builds the image, and boots the accessory over SSH.",
    async () => {
      const up = await stack.up();
      succeeded(up.code, up.output);
      return summarise(up.changes);
    },
  );

  await tell.step(
    "rendered",
    "What it wrote into the application's deploy.yml: one block between two markers.",
    async () => {
      const diff = await renderedDiff(world);
      tell.show("git diff config/deploy.yml", diff);
      assert.match(diff, /^\+ +db_backup:/m);
      return "one block, nothing else touched";
    },
  );

  await tell.step("kamal looks", "The real Kamal sees the container as its own.", async () => {
    const details = await kamal(world, ["accessory", "details", ACCESSORY]);
    tell.show(`kamal accessory details ${ACCESSORY}`, details.stdout);
    assert.match(details.stdout, new RegExp(`${world.app.service}-${ACCESSORY}`));
    const logs = await kamal(world, ["accessory", "logs", ACCESSORY, "-n", "5"]);
    tell.show(`kamal accessory logs ${ACCESSORY}`, logs.stdout);
    assert.equal(details.code + logs.code, 0);
    return "details and logs answer";
  });

  await tell.step("backup", "A backup on demand, in the words of the old image.", async () => {
    const backup = await kamal(world, ["accessory", "exec", ACCESSORY, "sh backup.sh", "--reuse"]);
    tell.show(`kamal accessory exec ${ACCESSORY} "sh backup.sh" --reuse`, backup.stdout);
    succeeded(backup.code, backup.stdout);
    return "stored, with its manifest";
  });

  await tell.step("list", "What is in the bucket.", async () => {
    const list = await runCli(stack, ["list"]);
    tell.show("npx kamal-postgres-backup list", list.stdout);
    succeeded(list.code, list.stderr);
    return "newest is within the RPO";
  });

  await tell.step(
    "verify",
    "The backup is encrypted for a key that the host does not have. With it, verify reads the whole backup back.",
    async () => {
      const verify = await runCli(stack, ["verify", "latest", ...identity]);
      tell.show("npx kamal-postgres-backup verify latest --identity identity.txt", verify.stdout);
      succeeded(verify.code, verify.stderr);
      return "decrypted, decompressed, every block read";
    },
  );

  const before = await countRows(world, TABLE);
  await tell.step(
    "accident",
    `Someone drops the table ${TABLE} with its ${before} rows.`,
    async () => {
      await query(world, `drop table ${TABLE} cascade`);
      return "gone";
    },
  );

  await tell.step(
    "anomaly",
    "The next backup lacks a table that the last one had: it is kept, but never counts as latest.",
    async () => {
      const backup = await runCli(stack, ["backup"]);
      tell.show(
        "npx kamal-postgres-backup backup ; echo $?",
        `${backup.stdout}${backup.stderr}${backup.code}`,
      );
      assert.notEqual(backup.code, 0);
      assert.match(backup.stderr, new RegExp(TABLE));
      return "the run fails and names the table";
    },
  );

  await tell.step(
    "restore",
    "One command brings the last good backup back into a new database, compares, and swaps.",
    async () => {
      await restoreLatest();
      const after = await countRows(world, TABLE);
      assert.equal(after, before);
      return `${after} rows again; the damaged database is kept as ${(await keptDatabases(world)).at(-1)}`;
    },
  );

  await tell.step("undo", "A restore can be taken back: undo swaps the two again.", async () => {
    const kept = (await keptDatabases(world)).at(-1) as string;
    const undo = await runCli(stack, ["undo", kept, "--yes"]);
    tell.show(`npx kamal-postgres-backup undo ${kept} --yes`, undo.stdout);
    succeeded(undo.code, undo.stderr);
    await assert.rejects(countRows(world, TABLE), /does not exist/);
    await restoreLatest();
    assert.equal(await countRows(world, TABLE), before);
    return "the damaged database was back; and restored once more";
  });

  await tell.step("up again", "A second `pulumi up` finds nothing to do.", async () => {
    const up = await stack.up({ expectNoChanges: true });
    succeeded(up.code, up.output);
    return summarise(up.changes);
  });

  await tell.step(
    "kamal reboots",
    "Kamal reboots the accessory from the rendered files: still no drift.",
    async () => {
      const reboot = await kamal(world, ["accessory", "reboot", ACCESSORY]);
      succeeded(reboot.code, reboot.stdout);
      const preview = await stack.preview({ expectNoChanges: true });
      succeeded(preview.code, preview.output);
      return "preview finds nothing";
    },
  );

  await tell.step(
    "drift",
    "Someone stops the container and shortens the bucket's expiry to 7 days.",
    async () => {
      const { container, location } = await outputsOf(stack);
      await stopContainer(container);
      await changeExpiry(world, location.bucket, 7);
      const drift = await runCli(stack, ["drift"]);
      tell.show("npx kamal-postgres-backup drift ; echo $?", `${drift.stdout}${drift.code}`);
      assert.equal(drift.code, 7, drift.stderr);
      assert.match(drift.stdout, /lifecycle/);
      assert.match(drift.stdout, /exited/);
      return "exit 7, both are named";
    },
  );

  await tell.step("heal", "`pulumi up` puts both back.", async () => {
    const up = await stack.up();
    succeeded(up.code, up.output);
    const drift = await runCli(stack, ["drift"]);
    tell.show("npx kamal-postgres-backup drift ; echo $?", `${drift.stdout}${drift.code}`);
    succeeded(drift.code, drift.stderr);
    return summarise(up.changes);
  });

  tell.summary();
  console.log(`
To back up your own database:
  1. make the package: npm ci && npm run build && npm pack ./dist
  2. in the application's folder: npx PATH/kamal-postgres-backup-0.1.0.tgz init
  3. type what it prints: docs/quick-start.md explains each step
The sandbox keeps running: npm run sandbox -- cli list runs a command in it, npm run sandbox down removes it.`);
} catch (error) {
  console.error(`\nThe story stopped: ${(error as Error).message}`);
  if (process.argv.includes("--debug")) console.error(error);
  process.exitCode = 1;
} finally {
  await providers?.stop();
}

async function restoreLatest(): Promise<void> {
  const restore = await runCli(stack, ["restore", "latest", "--yes", ...identity]);
  tell.show(
    "npx kamal-postgres-backup restore latest --yes --identity identity.txt",
    restore.stdout,
  );
  succeeded(restore.code, restore.stderr);
}

function succeeded(code: number, output: string): void {
  if (code !== 0) throw new Error(`exit ${code}\n${output}`);
}

function summarise(changes: Readonly<Record<string, number>>): string {
  const words = Object.entries(changes).map(([operation, count]) => `${count} ${operation}`);
  return words.length > 0 ? words.join(", ") : "nothing to do";
}
