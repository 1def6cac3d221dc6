import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { sizeAnomaly, snapshotAnomaly } from "../../../agent/backup/anomaly.ts";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { agent, failure, unavailable, World } from "../world.ts";

const table = (name: string, partition = false) => ({
  oid: 1,
  schema: "public",
  name,
  estimate: -1,
  partition,
});

function reference(over: Partial<Manifest> = {}): Manifest {
  return {
    version: 1,
    database: "app",
    takenAt: "2026-11-23T03:15:02Z",
    object: { key: "backup/app", bytes: 1000, sha256: "0".repeat(64) },
    globals: null,
    format: "pg_dump-custom",
    compression: "zstd",
    encryption: "none",
    recipients: [],
    tier: null,
    suspect: null,
    server: { version: "17.6", major: 17, systemIdentifier: "7", lsn: null },
    pgDump: "pg_dump (PostgreSQL) 17.6",
    databaseBytes: 1,
    tables: [
      { schema: "public", name: "orders", rows: 1, exact: true },
      { schema: "public", name: "orders_2026", rows: 1, exact: true, partition: true },
    ],
    largeObjects: 0,
    durationMs: 1,
    ...over,
  };
}

describe("the guard's judgement", () => {
  const doubt = (tables: string[], systemIdentifier: string | null = "7", before = reference()) =>
    snapshotAnomaly({ tables: tables.map((name) => table(name)), systemIdentifier }, before);

  it("finds nothing where all tables are there, also with new ones and without old partitions", () => {
    assert.equal(doubt(["orders", "users"]), null);
  });

  it("names what is wrong", () => {
    assert.match(doubt([]) ?? "", /has no table, 2 in the backup of 2026-11-23T03:15:02Z/);
    assert.match(doubt(["users"]) ?? "", /^table public\.orders is gone/);
    assert.match(doubt(["orders"], "8") ?? "", /another server: system identifier 8, 7 in/);
    const names = ["a", "b", "c", "d", "e", "f", "g"];
    const many = reference({
      tables: names.map((name) => ({ schema: "s", name, rows: 0, exact: true })),
    });
    assert.match(doubt(["x"], "7", many) ?? "", /^7 tables are gone.*s\.a, .*s\.e and 2 more$/);
  });

  it("does not judge what one side could not read", () => {
    assert.equal(doubt(["orders"], null), null);
  });

  it("weighs the size against the share that is allowed", () => {
    const size = (bytes: number, percent: number) =>
      sizeAnomaly({ bytes, compression: "zstd", encryption: "none" }, reference(), percent);
    assert.equal(size(500, 50), null);
    assert.match(size(499, 50) ?? "", /shrank by 50 % since .*: 499 bytes, 1000 before/);
    assert.equal(size(1, 100), null);
    assert.equal(size(5000, 1), null);
  });
});

describe("the guard at work", { skip: unavailable, timeout: 240_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start();
  });
  after(() => world?.stop());

  const shop = async (name: string) => {
    await world.database(
      name,
      "CREATE TABLE users AS SELECT i, md5(i::text) AS mail FROM generate_series(1, 3000) i",
      "CREATE TABLE orders AS SELECT i, md5(i::text) AS what FROM generate_series(1, 3000) i",
    );
    return world.environment(name);
  };
  const listed = async (env: Record<string, string>) => {
    const outcome = await agent(env, "list", "--json");
    const event = outcome.events.find((e) => e.event === "list");
    assert(event?.event === "list", failure(outcome));
    return event.backups;
  };

  it("lost tables: stored under suspect/, never latest, the run fails; --accept makes it good", async () => {
    const env = await shop("losing");
    const good = await world.backup(env);
    await world.query("losing", "DROP TABLE orders");
    const outcome = await agent(env, "backup", "--json");
    assert.equal(outcome.code, 1);
    assert.match(
      failure(outcome),
      /"losing" was stored as suspect and does not count: table public\.orders is gone.*accept it once: backup --accept/,
    );
    const [suspect, first] = await listed(env);
    assert.equal(suspect?.suspect, true);
    assert.match(suspect?.key ?? "", /^shop\/production\/suspect\/losing_/);
    assert.match(suspect?.manifest?.suspect ?? "", /public\.orders is gone/);
    assert.equal(first?.suspect, false);
    assert.match((await agent(env, "list")).stdout, /suspect: table public\.orders is gone/);

    const latest = await agent(env, "restore", "latest", "--into", "losing_latest", "--json");
    const event = latest.events.find((e) => e.event === "restored");
    assert.equal(event?.event === "restored" && `${event.from}Z`, good.takenAt);
    const chosen = await agent(
      env,
      "restore",
      suspect?.stamp ?? "",
      "--into",
      "losing_chosen",
      "--json",
    );
    assert.equal(chosen.code, 0, failure(chosen));

    const again = await agent(env, "backup", "--json");
    assert.equal(again.code, 1, "a suspect one must not become the measure");
    const accepted = await agent(env, "backup", "--accept", "--json");
    assert.equal(accepted.code, 0, failure(accepted));
    assert.equal((await world.backup(env)).suspect, null);
  });

  it("a dump that shrank: known only when it is stored, and suspect all the same", async () => {
    const env = await shop("shrinking");
    const good = await world.backup(env);
    await world.query("shrinking", "DELETE FROM users", "DELETE FROM orders");
    const outcome = await agent(env, "backup", "--json");
    assert.equal(outcome.code, 1);
    assert.match(failure(outcome), /the dump shrank by \d\d % since the backup of/);
    const [suspect] = await listed(env);
    assert.equal(suspect?.suspect, true);
    const latest = await agent(env, "restore", "latest", "--into", "shrinking_latest", "--json");
    const event = latest.events.find((e) => e.event === "restored");
    assert.equal(event?.event === "restored" && `${event.from}Z`, good.takenAt);
    const allowed = await agent({ ...env, BACKUP_MAX_SHRINK_PERCENT: "100" }, "backup", "--json");
    assert.equal(allowed.code, 0, failure(allowed));
  });

  it("no table: a warning at the first backup, suspect when there were some before", async () => {
    await world.database("bare");
    const env = await world.environment("bare");
    const first = await agent(env, "backup", "--json");
    assert.equal(first.code, 0, failure(first));
    assert.match(first.stderr, /"bare" has no table/);
    const restored = await agent(env, "restore", "latest", "--into", "bare_again", "--json");
    assert.equal(restored.code, 0, failure(restored));

    const emptied = await shop("emptied");
    await world.backup(emptied);
    await world.query("emptied", "DROP TABLE users, orders");
    const outcome = await agent(emptied, "backup", "--json");
    assert.match(failure(outcome), /does not count: the database has no table, 2 in the backup of/);
  });

  it("a key that may only add: not compared, with a warning", async () => {
    const env = await shop("blind");
    const keys = await world.keyThatMayPut(`arn:aws:s3:::${env["S3_BUCKET"]}/*`);
    const outcome = await agent({ ...env, ...keys }, "backup", "--json");
    assert.equal(outcome.code, 0, failure(outcome));
    assert.match(outcome.stderr, /may not list the bucket, so this backup is not compared/);
    const tiers = await agent({ ...env, ...keys, BACKUP_TIERS: "true" }, "backup", "--json");
    assert.match(failure(tiers), /BACKUP_TIERS is set, but the key may not list/);
  });
});
