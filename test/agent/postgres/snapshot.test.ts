import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { startStandby } from "../../support/servers/standby.ts";
import { agent, failure, outcomeOf, pathWith, startAgent, unavailable, World } from "../world.ts";

describe("a snapshot beside what others do", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start();
    await world.database(
      "shop",
      "CREATE TABLE d AS SELECT generate_series(1, 1000) AS i",
      "ALTER TABLE d ADD PRIMARY KEY (i)",
      "CREATE TABLE other AS SELECT generate_series(1, 10) AS i",
      "CREATE UNLOGGED TABLE cache AS SELECT generate_series(1, 5) AS i",
    );
  });
  after(() => world?.stop());

  const session = async (database: string) => {
    const { host, port, user, password } = world.postgres;
    const client = new pg.Client({ host, port, user, password, database });
    await client.connect();
    return client;
  };
  const waiting = async (text: string) => {
    for (;;) {
      const found = await world.query(
        "postgres",
        `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '${text}%'`,
      );
      if (found.length > 0) return;
      await sleep(20);
    }
  };
  const manifestOf = (outcome: Awaited<ReturnType<typeof agent>>) => {
    const event = outcome.events.find((e) => e.event === "backup");
    assert.ok(event?.event === "backup", failure(outcome));
    return event.manifest;
  };

  it("beside REINDEX the backup is made, and the table that could not be counted is named", async () => {
    const env = await world.environment("shop");
    const reindex = await session("shop");
    await reindex.query("BEGIN; REINDEX INDEX d_pkey");
    const outcome = await agent(env, "backup", "--json");
    await reindex.query("COMMIT");
    await reindex.end();
    const { tables } = manifestOf(outcome);
    assert.deepEqual(
      tables.map(({ name, rows, exact, counted }) => [name, exact, counted ?? true, exact && rows]),
      [
        ["cache", true, true, 5],
        ["d", false, false, false],
        ["other", true, true, 10],
      ],
    );
    assert.match(
      outcome.stderr,
      /not counted, so that .* rows: public\.d \(.*lock timeout\)\. The/,
    );
    const restored = await agent(env, "restore", "latest", "--into", "counted", "--json");
    assert.equal(restored.code, 0, failure(restored));
    assert.equal((await world.query("counted", "SELECT FROM d")).length, 1000);
  });

  it("a table that is changed before pg_dump has locked it: the application hardly waits, and the backup is made", async (t) => {
    const env = await world.environment("shop");
    const dump = execFileSync("sh", ["-c", "command -v pg_dump"], { encoding: "utf8" }).trim();
    const folder = await mkdtemp(join(tmpdir(), "counted-"));
    t.after(() => rm(folder, { recursive: true }));
    const answered = join(folder, "answered");
    // pg_dump begins when the application has its answer, or a minute later: then the test fails.
    const PATH = await pathWith(t, {
      pg_dump: `case "$*" in *--snapshot*)
          n=0; while [ ! -e ${answered} ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n + 1)); done
          [ -e ${answered} ] || echo late >${join(folder, "late")} ;;
        esac; exec ${dump} "$@"`,
    });
    const child = startAgent({ ...env, PATH }, "backup", "--json");
    const outcome = outcomeOf(child);
    for (;;) {
      const held = await world.query(
        "shop",
        "SELECT FROM pg_locks WHERE relation = 'd'::regclass AND granted",
      );
      if (held.length > 0) break;
      await sleep(20);
    }
    const [migration, application] = [await session("shop"), await session("shop")];
    const altered = migration.query("ALTER TABLE d ADD COLUMN w int");
    await waiting("ALTER TABLE d ADD COLUMN w");
    const [row] = (await application.query("SELECT count(*) AS n FROM d")).rows;
    await writeFile(answered, "");
    await altered;
    await migration.end();
    await application.end();
    assert.equal(row.n, "1000");
    assert.equal(existsSync(join(folder, "late")), false, "the application waited for pg_dump");
    const manifest = manifestOf(await outcome);
    assert.equal(manifest.tables.find(({ name }) => name === "d")?.rows, 1000);
    assert.equal(await world.unfinishedUploads(env["S3_BUCKET"] ?? ""), 0);
  });

  it("a database with names that are no UTF-8 is backed up as plain pg_dump does it", async () => {
    await world.query(
      "postgres",
      "CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0",
    );
    await world.query(
      "bytes",
      String.raw`DO $$ BEGIN EXECUTE format('CREATE TABLE %I AS SELECT 1 AS i', convert_from('\x636166e9'::bytea, 'SQL_ASCII')); END $$`,
      "CREATE TABLE plain AS SELECT generate_series(1, 3) AS i",
    );
    const env = await world.environment("bytes");
    const outcome = await agent(env, "backup", "--json");
    const { tables } = manifestOf(outcome);
    assert.deepEqual(
      tables.map(({ counted, exact, rows }) => [counted ?? true, exact && rows]),
      [
        [false, false],
        [true, 3],
      ],
    );
    assert.match(outcome.stderr, /public\.caf.* \(its name is not UTF-8\)/);
    const restored = await agent(env, "restore", "latest", "--into", "again", "--json");
    assert.equal(restored.code, 0, failure(restored));
    const [row] = await world.query(
      "again",
      "SELECT count(*)::int AS n FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
    );
    assert.equal(row?.["n"], 2);
  });

  it("names in another encoding than UTF-8 are read in it, wherever they stand", async () => {
    await world.query(
      "postgres",
      'CREATE ROLE "jürgen"',
      "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
    );
    await world.query(
      "latin",
      'CREATE TABLE "größen" AS SELECT 1 AS "maß"',
      'CREATE VIEW "übersicht" AS SELECT * FROM "größen"',
    );
    await world.database("nine", 'CREATE TABLE "größen" AS SELECT 1 AS "maß"');
    await world.query("nine", 'ALTER TABLE "größen" OWNER TO "jürgen"');
    for (const [name, options] of [
      ["latin", ""],
      ["nine", "--encoding LATIN9"],
    ] as const) {
      const env = { ...(await world.environment(name)), PGDUMP_EXTRA_OPTS: options };
      const { dump } = await world.backup(env);
      assert.deepEqual([dump?.otherLeftOut, dump?.tablesLeftOut], [{}, []]);
      const into = `${name}_part`;
      const part = ["--into", into, "--exclude-table", "größen", "--json"];
      const restored = await agent(env, "restore", ...part);
      const event = restored.events.find((e) => e.event === "restored");
      assert(event?.event === "restored", failure(restored));
      assert.equal(event.notRestored[0], "table public.größen, which was left out");
      const whole = await agent(env, "restore", "--json");
      assert.equal(whole.code, 0, failure(whole));
      assert.equal((await world.query(name, 'SELECT "maß" FROM "größen"')).length, 1);
    }
  });

  it("on a standby an unlogged table counts as without rows", async () => {
    const standby = await startStandby(world.postgres);
    try {
      const env = { ...(await world.environment("shop")), POSTGRES_PORT: String(standby.port) };
      const manifest = manifestOf(await agent(env, "backup", "--json"));
      assert.deepEqual(
        manifest.tables.map(({ name, rows, exact }) => [name, rows, exact]),
        [
          ["cache", 0, true],
          ["d", 1000, true],
          ["other", 10, true],
        ],
      );
    } finally {
      await standby.stop();
    }
  });
});
