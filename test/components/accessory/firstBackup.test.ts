import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { firstBackupLine } from "../../../components/accessory/firstBackup.ts";
import {
  type AccessoryStateInputs,
  create,
  diff,
  type FirstBackupOutcome,
  read,
  update,
} from "../../../components/internal/accessoryState.ts";
import { backupManifest } from "../../support/manifest.ts";
import { hasSshd, startSshd, type TestSshd } from "../../support/servers/sshd.ts";

/** A real OpenSSH server whose docker has the declared container, and an agent that prints what a file holds. */
const skip = !(await hasSshd()) && "no OpenSSH server on this machine";
const CONTAINER = "shop-db_backup";
const IMAGE = "ghcr.io/acme/shop-db-backup@sha256:4f2a";
const DOCKER = `#!/bin/sh
here=$(dirname "$0")
case "$1 $2" in
  "container inspect") case "$*" in *"{{json .}}"*) cat "$here/inspected";; *) echo sha256:1;; esac;;
  "image inspect") echo null;;
  "exec ${CONTAINER}") echo "$*" >> "$here/calls"; cat "$here/events"; exit "$(cat "$here/code")";;
esac
`;
let folder: string;
let server: TestSshd;

before(async () => {
  if (skip) return;
  folder = await mkdtemp(join(tmpdir(), "first-backup-"));
  const command = join(folder, "command");
  await writeFile(join(folder, "docker"), DOCKER, { mode: 0o755 });
  const wrapper = `#!/bin/sh\nPATH='${folder}':$PATH exec sh -c "$SSH_ORIGINAL_COMMAND"\n`;
  await writeFile(command, wrapper, { mode: 0o755 });
  const labels = { "kamal-postgres-backup.digest": "9b1d" };
  const inspected = {
    State: { Status: "running", ExitCode: 0 },
    Config: { Image: IMAGE, Labels: labels, Env: [] },
  };
  await writeFile(join(folder, "inspected"), `${JSON.stringify(inspected)}\n`);
  server = await startSshd({ command });
});
after(async () => {
  await server?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

/** What the agent prints, a line each, and how it ends. */
async function agentSays(events: readonly object[], code = 0): Promise<void> {
  await writeFile(join(folder, "calls"), "");
  await writeFile(join(folder, "code"), String(code));
  await writeFile(
    join(folder, "events"),
    events.map((event) => `${JSON.stringify(event)}\n`).join(""),
  );
}

function calls(): Promise<string> {
  return readFile(join(folder, "calls"), "utf8");
}

function inputs(more: Partial<AccessoryStateInputs> = {}): AccessoryStateInputs {
  const { host, port, user, hostKey, privateKey } = server;
  return {
    status: "running",
    container: CONTAINER,
    image: IMAGE,
    digest: "9b1d",
    envDigest: "absent",
    envFile: ".kamal/apps/shop/env/accessories/db_backup.env",
    target: { host, port, user, hostKey, privateKey },
    bootInput: "",
    ...more,
  };
}

const stored = (database: string, bytes: number, suspect: string | null = null) => ({
  event: "backup",
  manifest: backupManifest({
    database,
    suspect,
    object: { key: `shop/${database}_2026-11-24T03:15:02.pgdump`, bytes, sha256: "0".repeat(64) },
    tables: [{ schema: "public", name: "orders", rows: 1200, exact: true }] as never,
  }),
});

const outcomeOf = (outs: unknown) => (outs as { outcome?: FirstBackupOutcome }).outcome;

test("a new container backs up and reads back, and what came of it stays beside the declaration", {
  skip,
}, async () => {
  await agentSays([stored("shop", 1_000_000), stored("queue", 2_000_000)]);
  const { outs } = await create(inputs({ firstBackup: true }));
  assert.equal(await calls(), `exec ${CONTAINER} agent backup --first --verify --json\n`);
  const outcome = outcomeOf(outs);
  assert.deepEqual(
    outcome?.stored.map(({ database, bytes, tables, rows }) => [database, bytes, tables, rows]),
    [
      ["shop", 1_000_000, 1, 1200],
      ["queue", 2_000_000, 1, 1200],
    ],
  );
  assert.equal(outcome?.failure, undefined);
  // A refresh keeps it, and takes it for no part of the declaration.
  const found = await read("x", outs as AccessoryStateInputs);
  assert.deepEqual(outcomeOf(found.props), outcome);
  assert.equal(outcomeOf((found as { inputs?: unknown }).inputs), undefined);
  assert.equal((await diff("x", outs as AccessoryStateInputs, inputs())).changes, false);
});

test("no backup where the bucket has one, it is not wanted, or Kamal boots later", {
  skip,
}, async () => {
  await agentSays([]);
  assert.equal(outcomeOf((await create(inputs({ firstBackup: true }))).outs), undefined);
  assert.equal(await calls(), `exec ${CONTAINER} agent backup --first --verify --json\n`);
  await agentSays([]);
  await create(inputs());
  await create(inputs({ firstBackup: true, kamal: "later" }));
  const existing = inputs();
  const news = inputs({ firstBackup: true });
  assert.equal((await diff("x", existing, news)).changes, false, "a stack that is there already");
  await update("x", existing, news);
  assert.equal(await calls(), "");
});

test("one that fails is no failed boot: it is tried again by the next update, and then no more", {
  skip,
}, async () => {
  const wanted = inputs({ firstBackup: true });
  const message = 'the backup of "shop" was stored as suspect and does not count.';
  await agentSays([stored("queue", 1), stored("shop", 1, "odd"), { event: "error", message }], 1);
  const { outs } = await create(wanted);
  const failed = outcomeOf(outs);
  assert.equal(failed?.failure, message);
  assert.deepEqual(
    failed?.stored.map(({ database }) => database),
    ["queue"],
  );
  assert.equal((await diff("x", outs as AccessoryStateInputs, wanted)).changes, true);
  assert.equal(
    (await diff("x", outs as AccessoryStateInputs, inputs())).changes,
    false,
    "given up",
  );
  await agentSays([stored("shop", 1)]);
  const again = await update("x", outs as AccessoryStateInputs, wanted);
  assert.equal(outcomeOf(again.outs)?.failure, undefined);
  assert.equal((await diff("x", again.outs as AccessoryStateInputs, wanted)).changes, false);
  await agentSays([], 1);
  const silent = await create(wanted);
  assert.equal(outcomeOf(silent.outs)?.failure, "exit code 1");
});

const OUTCOME: FirstBackupOutcome = {
  at: "2026-11-24T03:15:30.000Z",
  seconds: 24,
  stored: [
    { database: "shop", bytes: 412_000_000, tables: 31, rows: 18_204_117, key: "shop/a.pgdump" },
  ],
};

test("one line says what is there now, for this run alone; a failure is a sentence", () => {
  const lineAt = (outcome: FirstBackupOutcome | undefined, began: string) =>
    firstBackupLine(outcome, {
      names: { container: CONTAINER },
      bucket: "shop-backups",
      began: Date.parse(began),
    });
  assert.equal(
    lineAt(OUTCOME, "2026-11-24T03:15:00Z"),
    "First backup: shop, 412 MB, 31 tables, 18,204,117 rows, in 24 s: s3://shop-backups/shop/a.pgdump",
  );
  assert.equal(lineAt(OUTCOME, "2026-11-24T03:16:00Z"), undefined);
  assert.equal(lineAt(undefined, "2026-11-24T03:15:00Z"), undefined);
  for (const failure of ["the server is full.", "the server is full"]) {
    assert.throws(() => lineAt({ ...OUTCOME, stored: [], failure }, "2026-11-24T03:15:00Z"), {
      name: "Problem",
      message:
        "shop-db_backup runs, but its first backup failed: the server is full. The next pulumi up tries again.",
    });
  }
  const two = { ...OUTCOME, stored: [...OUTCOME.stored, ...OUTCOME.stored] };
  assert.match(
    lineAt(two, "2026-11-24T03:15:00Z") ?? "",
    /^First backup: shop, shop, 824 MB, 62 tables, .*: s3:\/\/shop-backups\/shop\/$/,
  );
});
