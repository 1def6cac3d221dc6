import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { agent, failure, unavailable, World } from "../world.ts";

describe("the guard at work", { skip: unavailable, timeout: 900_000 }, () => {
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

  /** Of when the backup is that a restore would take. */
  const planned = async (env: Record<string, string>, wanted: string) => {
    const outcome = await agent(env, "restore", wanted, "--into", "never", "--dry-run", "--json");
    const event = outcome.events.find((e) => e.event === "planned");
    assert(event?.event === "planned", failure(outcome));
    return event.from;
  };

  it("a child by inheritance may go, as a partition may; a plain table may not", async () => {
    await world.database(
      "measures",
      "CREATE SCHEMA part",
      "CREATE TABLE m (t int, v int)",
      "CREATE TABLE part.m_1 () INHERITS (m)",
      "CREATE TABLE part.m_2 () INHERITS (m)",
      "CREATE TABLE part.plain AS SELECT 1 AS i",
      "INSERT INTO part.m_1 VALUES (1, 1)",
      "INSERT INTO part.m_2 VALUES (2, 2)",
    );
    const env = await world.environment("measures");
    const first = await world.backup(env);
    const flags = first.tables.map(({ name, partition }) => [name, partition ?? false]);
    assert.deepEqual(flags, [
      ["m_1", true],
      ["m_2", true],
      ["plain", false],
      ["m", false],
    ]);
    await world.query("measures", "DROP TABLE part.m_1");
    await world.backup(env);
    await world.query("measures", "DROP TABLE part.plain");
    const outcome = await agent(env, "backup", "--json");
    assert.match(failure(outcome), /stored as suspect .*table part\.plain is gone/);
  });

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

    assert.equal(`${await planned(env, "latest")}Z`, good.takenAt);
    const into = ["--into", "losing_chosen", "--json"];
    const chosen = await agent(env, "restore", suspect?.stamp ?? "", ...into);
    assert.equal(chosen.code, 0, failure(chosen));

    const again = await agent(env, "backup", "--json");
    assert.equal(again.code, 1, "a suspect one must not become the measure");
    const accepted = await agent(env, "backup", "--accept", "--json");
    assert.equal(accepted.code, 0, failure(accepted));
    assert.equal((await world.backup(env)).suspect, null);
  });

  it("tables that are named as transient may go; the sentence about others names the setting", async () => {
    await world.database(
      "staged",
      "CREATE SCHEMA staging",
      "CREATE TABLE staging.load_20261128 AS SELECT i, md5(i::text) FROM generate_series(1, 9000) i",
      "CREATE TABLE orders AS SELECT 1 AS i",
    );
    const env = await world.environment("staged");
    await world.backup(env);
    await world.query("staged", "DROP TABLE staging.load_20261128");
    const unnamed = failure(await agent(env, "backup", "--json"));
    assert.match(
      unnamed,
      /table staging\.load_20261128 is gone.*in BACKUP_TRANSIENT_TABLES .*--accept/,
    );
    const named = { ...env, BACKUP_TRANSIENT_TABLES: "staging.*" };
    assert.equal((await world.backup(named)).suspect, null);
    await world.query("staged", "ALTER TABLE orders RENAME TO others");
    assert.match(failure(await agent(named, "backup", "--json")), /table public\.orders is gone/);
    const refused = await agent({ ...env, BACKUP_TRANSIENT_TABLES: "*" }, "backup", "--json");
    assert.match(failure(refused), /^BACKUP_TRANSIENT_TABLES has "\*", which names every table/);
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
    assert.equal(`${await planned(env, "latest")}Z`, good.takenAt);
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
