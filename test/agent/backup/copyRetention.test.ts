import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { type Fate, startRelay } from "../../support/servers/relay.ts";
import { health, stateFolder } from "../runtime/watch.ts";
import { agent, failure, type Outcome, unavailable, World } from "../world.ts";
import { twoBuckets } from "./twoBuckets.ts";

const ADD_AND_READ = ["s3:PutObject", "s3:GetObject", "s3:ListBucket"];
const refusal: Fate = { status: 500, code: "InternalError" };
const isDeletion = (method: string, path: string) =>
  method === "DELETE" && !path.includes("uploadId=");

/** What an old backup consists of, and what belongs to others, in the folder of a place. */
const ours = (folder: string) => [
  `${folder}/app_2026-01-01T00:00:00.dump.zst`,
  `${folder}/app_2026-01-01T00:00:00.globals.sql.zst`,
  `${folder}/app_2026-01-01T00:00:00.manifest.json`,
  `${folder}/app_2026-01-02T00:00:00.dump`,
  `${folder}/suspect/app_2026-01-03T00:00:00.dump.zst`,
  `${folder}/suspect/app_2026-01-03T00:00:00.manifest.json`,
];
const others = (folder: string) => [
  `${folder}/app.dump`,
  `${folder}/app_queue_2026-01-01T00:00:00.dump.zst`,
  `${folder}/app_queue_2026-01-01T00:00:00.manifest.json`,
];

describe("BACKUP_KEEP_DAYS with a second bucket", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start();
    await world.database("app", "CREATE TABLE t AS SELECT 1 AS i");
  });
  after(() => world?.stop());

  /** Two buckets with old backups in them; each line, if given, stands in front of one. */
  const filled = async (lines: { first?: string; copy?: string } = {}) => {
    const { env, first, copy } = await twoBuckets(world, "app");
    for (const key of [...ours("shop/production"), ...others("shop/production")]) {
      await world.write(first, key, "x");
    }
    for (const key of [...ours("far"), ...others("far")]) await world.write(copy, key, "x");
    return {
      env: {
        ...env,
        BACKUP_KEEP_DAYS: "30",
        BACKUP_KEEP_AT_LEAST: "1",
        ...(lines.first && { S3_ENDPOINT: lines.first }),
        ...(lines.copy && { COPY_S3_ENDPOINT: lines.copy }),
      } as Record<string, string>,
      first,
      copy,
    };
  };
  const refusing = async (t: TestContext, what: (method: string, path: string) => boolean) => {
    const relay = await startRelay(world.store.endpoint, (method, path) =>
      what(method, path) ? refusal : "pass",
    );
    t.after(() => relay.stop());
    return relay.endpoint;
  };
  const oldOnes = async (bucket: string) =>
    (await world.keys(bucket)).filter((key) => key.includes("_2026-01"));
  const theirs = (folder: string) => others(folder).slice(1);
  const good = (outcome: Outcome) => assert.equal(outcome.code, 0, failure(outcome));

  it("deletes the old ones in both buckets, of exactly this database", async () => {
    const { env, first, copy } = await filled();
    const outcome = await agent(env, "backup");
    good(outcome);
    assert.deepEqual(await oldOnes(first), theirs("shop/production"));
    assert.deepEqual(await oldOnes(copy), theirs("far"));
    for (const [bucket, folder] of [
      [first, "shop/production"],
      [copy, "far"],
    ] as const) {
      const keys = await world.keys(bucket);
      assert.ok(keys.includes(`${folder}/app.dump`));
      assert.equal(keys.length, others(folder).length + 3, "the new backup is there");
    }
    assert.match(outcome.stdout, /^Deleted 3 backups of app older than 30 days\.$/m);
    assert.match(outcome.stdout, /^Deleted 3 copies of app older than 30 days\.$/m);
  });

  it("a bucket that gets no new copy in this run is left alone", async () => {
    const { env, copy } = await filled();
    await world.write(copy, "far/app_2026-11-01T00:00:00.dump", "x");
    const rare = await agent({ ...env, COPY_EVERY: "@every 9999h" }, "backup");
    good(rare);
    assert.match(rare.stdout, /No copy is due/);
    assert.equal((await oldOnes(copy)).length, ours("far").length + theirs("far").length);
  });

  it("a copy's key that may not delete: the first bucket is pruned, and there is one warning for the copy", async (t) => {
    const { env, first, copy } = await filled();
    const key = await world.keyThatMay(copy, ...ADD_AND_READ);
    const AGENT_STATE_DIR = stateFolder(t);
    const held = {
      ...env,
      AGENT_STATE_DIR,
      COPY_S3_ACCESS_KEY_ID: key["S3_ACCESS_KEY_ID"] ?? "",
      COPY_S3_SECRET_ACCESS_KEY: key["S3_SECRET_ACCESS_KEY"] ?? "",
    };
    const outcome = await agent(held, "backup", "--json");
    good(outcome);
    assert.deepEqual(outcome.stderr.match(/^BACKUP_KEEP_DAYS.*$/gm), [
      "BACKUP_KEEP_DAYS: the copy's key may not delete, so 3 copies older than 30 days stay until the bucket's own rule expires them.",
    ]);
    assert.deepEqual(await oldOnes(first), theirs("shop/production"));
    assert.equal((await oldOnes(copy)).length, ours("far").length + theirs("far").length);
    const again = await agent(held, "backup", "--json");
    assert.deepEqual([again.code, again.stderr], [0, ""]);
    const said = health(AGENT_STATE_DIR);
    assert.equal(said.status, 0);
    assert.match(
      said.stdout,
      /s ago; BACKUP_KEEP_DAYS: the copy's key may not delete, so old copies stay/,
    );
    assert.doesNotMatch(said.stdout, /the key may/);

    good(await agent({ ...env, AGENT_STATE_DIR }, "backup", "--json"));
    assert.match(health(AGENT_STATE_DIR).stdout, /succeeded \d+ s ago$/m);
  });

  it("neither key may: one warning for each bucket", async (t) => {
    const { env, first, copy } = await filled();
    const [here, there] = [
      await world.keyThatMay(first, ...ADD_AND_READ),
      await world.keyThatMay(copy, "s3:PutObject"),
    ];
    const AGENT_STATE_DIR = stateFolder(t);
    const held = {
      ...env,
      ...here,
      AGENT_STATE_DIR,
      COPY_S3_ACCESS_KEY_ID: there["S3_ACCESS_KEY_ID"] ?? "",
      COPY_S3_SECRET_ACCESS_KEY: there["S3_SECRET_ACCESS_KEY"] ?? "",
    };
    const outcome = await agent(held, "backup", "--json");
    good(outcome);
    assert.match(outcome.stderr, /^BACKUP_KEEP_DAYS: the key may not delete, so 3 backups/m);
    assert.match(
      outcome.stderr,
      /^BACKUP_KEEP_DAYS: the copy's key may not list the bucket, so the/m,
    );
    assert.match(
      health(AGENT_STATE_DIR).stdout,
      /s ago; BACKUP_KEEP_DAYS: the key may not delete, .*; BACKUP_KEEP_DAYS: the copy's key may not list/,
    );
  });

  it("a service that fails to delete fails the run for its bucket alone", async (t) => {
    for (const bad of ["first", "copy"] as const) {
      const { env, ...buckets } = await filled({ [bad]: await refusing(t, isDeletion) });
      const folder = mkdtempSync(join(tmpdir(), "metrics-"));
      t.after(() => rmSync(folder, { recursive: true }));
      const METRICS_FILE = join(folder, "app.prom");
      const outcome = await agent({ ...env, METRICS_FILE }, "backup", "--json");
      assert.equal(outcome.code, 1, outcome.stderr);
      assert.match(
        failure(outcome),
        bad === "first"
          ? /^the new backup is complete, but old backups stay: cannot delete shop\/production\//
          : /^the new copy is complete, but old copies stay: cannot delete far\//,
      );
      const other = bad === "first" ? "copy" : "first";
      assert.deepEqual(
        await oldOnes(buckets[other]),
        theirs(other === "first" ? "shop/production" : "far"),
      );
      const metrics = readFileSync(METRICS_FILE, "utf8");
      assert.match(metrics, /last_run_success\{database="app"\} 0/);
      // What has failed about the copies says nothing against the backup.
      assert.equal(/last_success_timestamp/.test(metrics), bad === "copy");
    }
  });
});
