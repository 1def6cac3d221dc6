import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { manifestKey } from "../../../storage/catalogue/objectKeys.ts";
import { agent, archiveOf, failure, type Outcome, unavailable, World } from "../world.ts";
import { plant } from "./planted.ts";

describe("time, as three clocks tell it", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start();
  });
  after(() => world?.stop());

  /** The clock by which this database's stamps are made is off by so much from now on. */
  const setClock = (database: string, offset: string) =>
    world.query(
      database,
      "SET allow_system_table_mods = on",
      `CREATE OR REPLACE FUNCTION pg_catalog.statement_timestamp() RETURNS timestamptz
         STABLE LANGUAGE sql AS $$ SELECT pg_catalog.now() + interval '${offset}' $$`,
    );
  const shop = async (name: string) => {
    await world.database(
      name,
      "CREATE TABLE orders AS SELECT i FROM generate_series(1, 1) i",
      "SET allow_system_table_mods = on",
      "ALTER FUNCTION pg_catalog.statement_timestamp() RENAME TO real_statement_timestamp",
    );
    await setClock(name, "0");
    return world.environment(name);
  };
  /** What a restore would take, and what it says of it. */
  const planned = async (env: Record<string, string>, wanted = "latest") => {
    const words = ["restore", wanted, "--into", "never", "--dry-run", "--json"];
    const outcome = await agent(env, ...words);
    const event = outcome.events.find((e) => e.event === "planned");
    assert(event?.event === "planned", failure(outcome));
    return { rows: event.rows, from: event.from, stderr: outcome.stderr };
  };
  const listed = async (env: Record<string, string>) => {
    const event = (await agent(env, "list", "--json")).events.find((e) => e.event === "list");
    assert(event?.event === "list");
    return event.backups;
  };
  const suspectOf = (outcome: Outcome): string => {
    assert.equal(outcome.code, 1, outcome.stderr);
    return failure(outcome);
  };

  for (const [what, offset, way] of [
    ["an hour ahead", "1 hour", "ahead of"],
    ["an hour behind", "-1 hour", "behind"],
  ] as const) {
    it(`a server's clock ${what}: the backup is suspect, and the next true one is the latest`, async () => {
      const name = `clock_${what.replaceAll(" ", "_")}`;
      const env = await shop(name);
      await setClock(name, offset);
      const sentence = suspectOf(await agent(env, "backup", "--accept", "--json"));
      assert.match(
        sentence,
        new RegExp(
          `stored as suspect and does not count: the clock of the database's server says \\S+Z, which is ${way} that of http://127\\.0\\.0\\.1:\\d+, \\S+Z, by more than 5 minutes\\. Set the clock`,
        ),
      );
      const clocks = [...sentence.matchAll(/says (\S+)Z|, (\S+)Z, by/g)];
      assert.ok(Math.abs(Date.parse(`${clocks[1]?.[2]}Z`) - Date.now()) < 60_000, sentence);

      await setClock(name, "0");
      await world.query(name, "INSERT INTO orders VALUES (2)");
      const second = await agent(env, "backup", "--json");
      assert.equal(second.code, 0, failure(second));
      const ahead = way === "ahead of";
      assert.equal(/is ahead of time.*does not count/.test(second.stderr), ahead, second.stderr);
      const latest = await planned(env);
      assert.equal(latest.rows, 2);
      assert.equal(/passed over .*ahead of time/.test(latest.stderr), ahead, latest.stderr);

      const first = (await listed(env)).find(({ suspect }) => suspect);
      const text = (await agent(env, "list")).stdout;
      assert.match(
        text,
        new RegExp(`${first?.stamp}.*${ahead ? "ahead of time, " : ""}suspect: the`),
      );
      const chosen = await planned(env, first?.stamp);
      assert.equal(chosen.rows, 1);
    });
  }

  it("four minutes are no wrong clock", async () => {
    const env = await shop("nearly");
    for (const offset of ["4 minutes", "-4 minutes"]) {
      await setClock("nearly", offset);
      const outcome = await agent(env, "backup", "--json");
      assert.equal(outcome.code, 0, failure(outcome));
    }
  });

  describe("one planted object of the future", () => {
    let env: Record<string, string>;
    let first: Manifest;
    let dump: Buffer;
    before(async () => {
      env = await shop("planted");
      first = await world.backup(env);
      dump = await world.read(env["S3_BUCKET"] ?? "", first.object.key);
    });

    it("with one table more is compared with nothing: the next backup is good", async () => {
      const never = { schema: "public", name: "never_was", rows: 1, exact: true };
      const over = { tables: [...first.tables, never] };
      await plant(world, env, { stamp: "2099-01-01T00:00:00", dump, manifest: first, over });
      const outcome = await agent(env, "backup", "--json");
      assert.equal(outcome.code, 0, failure(outcome));
      assert.match(outcome.stderr, /2099-01-01T00:00:00 \(stored .*is ahead of time/);
      const { from, stderr } = await planned(env);
      assert.ok(from < "2099", from);
      assert.match(stderr, /passed over 2099-01-01T00:00:00 .*ahead of time/);
    });

    it("of the old image's form is never the latest, by its time alone is what it was", async () => {
      const key = `${env["S3_PREFIX"]}/planted_2098-01-01T00:00:00.dump`;
      const archive = archiveOf(first, dump);
      await world.write(env["S3_BUCKET"] ?? "", key, archive);
      const now = new Date().toISOString().slice(0, 19);
      const newest = `${env["S3_PREFIX"]}/planted_${now}.dump`;
      await world.write(env["S3_BUCKET"] ?? "", newest, archive);
      const { from, stderr } = await planned(env);
      assert.notEqual(from, now);
      assert.ok(from < "2098", from);
      assert.match(stderr, /passed over \S+: it was written by the old image, without a manifest/);
      assert.equal((await planned(env, now)).from, now);
    });
  });

  it("a manifest of a byte under suspect/ does not take a good backup away", async () => {
    const env = await shop("tiny");
    const { takenAt } = await world.backup(env);
    const stamp = takenAt.slice(0, 19);
    const key = manifestKey(env["S3_PREFIX"] ?? "", "tiny", stamp, "suspect");
    await world.write(env["S3_BUCKET"] ?? "", key, "x");
    const latest = await planned(env);
    assert.equal(latest.from, stamp);
    assert.match(
      latest.stderr,
      /suspect\/tiny_\S+ calls the backup suspect, but has no force: .*JSON/,
    );
    const verified = await agent(env, "verify", stamp, "--json");
    assert.equal(verified.code, 0, failure(verified));
    assert.match((await agent(env, "list")).stderr, /has no force/);
  });
});
