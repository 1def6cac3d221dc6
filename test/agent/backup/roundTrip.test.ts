import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, before, describe, it } from "node:test";
import { NOT_WHOLE } from "../../../cli/restore/dump.ts";
import { agent, archiveOf, failure, keyBeside, unavailable, World } from "../world.ts";

const RICH = [
  "CREATE EXTENSION pg_trgm",
  'CREATE SCHEMA "Odd \'schema"',
  'CREATE TABLE "Odd \'schema"."Ta""ble é" (id serial PRIMARY KEY, "Wörd" text)',
  'INSERT INTO "Odd \'schema"."Ta""ble é" ("Wörd") SELECT repeat(md5(i::text), 10) FROM generate_series(1, 5000) i',
  "CREATE TABLE files (id int, body bytea)",
  "INSERT INTO files SELECT i, decode(repeat(md5(i::text), 2000), 'hex') FROM generate_series(1, 50) i",
  "CREATE TABLE events (at date, what text) PARTITION BY RANGE (at)",
  "CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
  "CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')",
  "INSERT INTO events SELECT date '2026-01-01' + i % 59, 'x' FROM generate_series(0, 589) i",
  "CREATE TABLE parent (id int)",
  "CREATE TABLE child () INHERITS (parent)",
  "INSERT INTO parent VALUES (1)",
  "INSERT INTO child VALUES (2), (3)",
  "CREATE TABLE empty (id int)",
  "CREATE UNLOGGED TABLE cache (id int)",
  "INSERT INTO cache VALUES (1)",
  "CREATE MATERIALIZED VIEW summary AS SELECT count(*) FROM files",
  "SELECT lo_from_bytea(0, decode(repeat('ab', 3000), 'hex')) FROM generate_series(1, 7)",
];

describe("a backup and its restore", { skip: unavailable }, () => {
  let world: World;
  before(async () => {
    world = await World.start();
  });
  after(() => world?.stop());

  it("bring every kind of data back, and keep the database of before", async () => {
    await world.database("app_production", ...RICH);
    await world.query("postgres", "CREATE ROLE reporter LOGIN");
    await world.query(
      "postgres",
      'ALTER DATABASE app_production SET search_path TO public, "Odd \'schema"',
      "ALTER DATABASE app_production SET application_name TO 'it''s'",
      "COMMENT ON DATABASE app_production IS 'the shop'",
      "REVOKE ALL ON DATABASE app_production FROM PUBLIC",
      "GRANT CONNECT ON DATABASE app_production TO reporter",
      "ALTER DATABASE app_production OWNER TO reporter",
    );
    const env = await world.environment("app_production");

    const manifest = await world.backup(env);
    const rows = Object.fromEntries(manifest.tables.map((t) => [`${t.schema}.${t.name}`, t.rows]));
    assert.deepEqual(rows, {
      "Odd 'schema.Ta\"ble é": 5000,
      "public.cache": 1,
      "public.child": 2,
      "public.empty": 0,
      "public.events_1": 310,
      "public.events_2": 280,
      "public.files": 50,
      "public.parent": 1,
    });
    assert.equal(manifest.largeObjects, 7);
    assert.match(manifest.server.systemIdentifier ?? "", /^\d+$/);
    assert.match(manifest.server.lsn ?? "", /^[0-9A-F]+\/[0-9A-F]+$/);
    assert.deepEqual(
      await world.keys(env["S3_BUCKET"] ?? ""),
      [
        manifest.object.key,
        keyBeside(manifest, "globals.sql.zst"),
        keyBeside(manifest, "manifest.json"),
      ].toSorted(),
    );

    const files = "SELECT md5(string_agg(body, '' ORDER BY id)) AS digest FROM files";
    const [original] = await world.query("app_production", files);
    await world.query("app_production", "DROP TABLE files CASCADE", "DELETE FROM parent");
    const outcome = await agent(env, "restore", "latest", "--json");
    assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
    const event = outcome.events.find((e) => e.event === "restored");
    assert(event?.event === "restored");
    assert.equal(event.database, "app_production");
    assert.equal(event.tables, 8);
    assert.equal(event.rows, 5644);
    assert.equal(event.compared, true);
    assert.match(event.previous ?? "", /^app_production_before_\d{8}T\d{6}$/);

    assert.deepEqual(await world.query("app_production", files), [original]);
    // What the dump itself does not carry.
    const [kept] = await world.query(
      "app_production",
      `SELECT current_setting('search_path') AS path, shobj_description(d.oid, 'pg_database') AS comment,
              pg_get_userbyid(datdba) AS owner, has_database_privilege('public', d.oid, 'CONNECT') AS everyone
       FROM pg_database d WHERE datname = current_database()`,
    );
    assert.deepEqual(kept, {
      path: 'public, "Odd \'schema"',
      comment: "the shop",
      owner: "reporter",
      everyone: false,
    });
    const [old] = await world.query(
      event.previous ?? "",
      "SELECT to_regclass('public.files') IS NULL AS gone",
    );
    assert.deepEqual(old, { gone: true });
  });

  it("come as SQL, of the database as it is or of a backup, and load with psql", async () => {
    await world.database(
      "as_sql",
      ...RICH,
      "CREATE ROLE elsewhere",
      "ALTER TABLE files OWNER TO elsewhere",
    );
    const env = await world.environment("as_sql");
    await world.backup(env);
    await world.query("as_sql", "DELETE FROM files WHERE id > 10");
    const { host, port, user, password } = world.postgres;
    const psql = (name: string, input: string) => {
      const args = [
        "-X",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
        host,
        "-p",
        String(port),
        "-U",
        user,
      ];
      const options = { env: { ...process.env, PGPASSWORD: password }, input };
      execFileSync("psql", [...args, name], { ...options, stdio: ["pipe", "ignore", "pipe"] });
    };
    const load = async (name: string, input: string) => {
      await world.database(name);
      psql(name, input);
      const [files] = await world.query(
        name,
        `SELECT count(*)::int AS rows, (SELECT relowner::regrole::text FROM pg_class WHERE relname = 'files') AS owner,
                (SELECT count(*)::int FROM pg_largeobject_metadata) AS large FROM files`,
      );
      return files;
    };
    const live = await agent(env, "dump", "--json");
    assert.equal(live.code, 0, live.stderr);
    assert.match(
      live.stderr,
      /^\{"event":"dumped","database":"as_sql","from":null,"elapsedMs":\d+\}$/m,
    );
    assert.deepEqual(await load("sql_live", live.stdout), {
      rows: 10,
      owner: "elsewhere",
      large: 7,
    });

    const stored = await agent(env, "dump", "latest", "--no-owner");
    assert.equal(stored.code, 0, stored.stderr);
    assert.match(stored.stderr, /^Dumped as_sql of \S+Z as SQL in /m);
    assert.doesNotMatch(stored.stdout, /elsewhere/);
    assert.deepEqual(await load("sql_stored", stored.stdout), { rows: 50, owner: user, large: 7 });
  });

  it("end in an error for psql wherever the command line has lost the rest of the SQL", async () => {
    await world.database(
      "cut_off",
      "CREATE TABLE a (one text)",
      "INSERT INTO a VALUES ('first'), ('second')",
      "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT 'it''s' $$",
      "COMMENT ON TABLE a IS 'quo;ted'",
    );
    const env = await world.environment("cut_off");
    const { stdout } = await agent(env, "dump", "--json");
    await world.database("empty");
    const { host, port, user, password } = world.postgres;
    const args = ["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-h", host, "-p", String(port)];
    const cuts = [
      /(?<=first)/,
      /(?<=first\n)/,
      /(?<=seco)/,
      /(?<=SELECT 'i)/,
      /(?<=quo)/,
      /(?<=CREATE TAB)/,
      /(?<=\$)/,
      /(?<=-- N)/,
    ];
    for (const cut of cuts) {
      const [start = ""] = stdout.split(cut, 1);
      assert.notEqual(start, stdout, String(cut));
      const options = { env: { ...process.env, PGPASSWORD: password }, input: start + NOT_WHOLE };
      const load = () =>
        execFileSync("psql", [...args, "-U", user, "empty"], { ...options, stdio: "pipe" });
      assert.throws(
        load,
        /dump is not whole|syntax error|unterminated|invalid|restricted/,
        String(cut),
      );
    }
  });

  it("say of SQL that is cut that it must not be loaded", async () => {
    await world.database(
      "cut",
      "CREATE TABLE t AS SELECT repeat('x', 1000) FROM generate_series(1, 9000)",
    );
    const env = await world.environment("cut");
    const { object } = await world.backup(env);
    const bytes = await world.read(env["S3_BUCKET"] ?? "", object.key);
    bytes.fill(0, bytes.length - 60, bytes.length - 20);
    await world.write(env["S3_BUCKET"] ?? "", object.key, bytes);
    const outcome = await agent(env, "dump", "latest", "--json");
    assert.equal(outcome.code, 1);
    assert.match(outcome.stderr, /"event":"error".*is damaged/);
    // Where the clock's second has passed since its manifest, it is known to be overwritten before anything is written.
    if (outcome.stdout !== "")
      assert.match(outcome.stderr, /not the whole database: do not load it\./);

    await world.query(
      "cut",
      "CREATE VIEW broken AS SELECT 1 FROM t",
      "CREATE ROLE poor LOGIN PASSWORD 'p'",
    );
    const poor = await agent({ ...env, POSTGRES_USER: "poor", POSTGRES_PASSWORD: "p" }, "dump");
    assert.equal(poor.code, 1);
    assert.equal(poor.stdout.includes("CREATE TABLE"), false);
    assert.match(poor.stderr, /^error: pg_dump failed .*permission denied.* do not load it\.$/ms);
  });

  it("work with stock tools alone", async () => {
    await world.database(
      "stock",
      "CREATE TABLE t AS SELECT i, md5((i % 77)::text) AS text FROM generate_series(1, 1500) i",
    );
    const env = await world.environment("stock");
    const manifest = await world.backup(env);
    const bytes = await world.read(env["S3_BUCKET"] ?? "", manifest.object.key);
    const archive = archiveOf(manifest, bytes);
    const list = execFileSync("pg_restore", ["--list"], { input: archive, encoding: "utf8" });
    assert.match(list, /TABLE DATA public t postgres/);
    const denser = await world.backup({ ...env, COMPRESSION_LEVEL: "3" });
    assert(denser.object.bytes < manifest.object.bytes, "the level is honoured");
  });

  it("never take a sibling whose name begins the same", async () => {
    await world.database("queue_test", "CREATE TABLE mine (i int)");
    await world.database("queue_test_queue", "CREATE TABLE theirs (i int)");
    const env = await world.environment("queue_test");
    const { object } = await world.backup(env);
    await world.backup({ ...env, POSTGRES_DATABASE: "queue_test_queue" });
    const outcome = await agent(env, "restore", "--dry-run", "--json");
    const planned = outcome.events.find((e) => e.event === "planned");
    assert.equal(planned?.event === "planned" && planned.key, object.key, failure(outcome));
  });

  it("take names as long as PostgreSQL allows", async () => {
    const name = "x".repeat(63);
    await world.database(name, "CREATE TABLE t AS SELECT 1 AS i");
    const env = await world.environment(name);
    await world.backup(env);
    const outcome = await agent(env, "restore", "--json");
    assert.equal(outcome.code, 0, failure(outcome));
    const [row] = await world.query(name, "SELECT count(*)::int AS n FROM t");
    assert.deepEqual(row, { n: 1 });
  });

  it("leave out what the dump's options leave out, in the manifest too", async () => {
    await world.database(
      "partly",
      "CREATE TABLE kept AS SELECT 1 AS i",
      "CREATE TABLE skipped AS SELECT 1 AS i",
      "SELECT lo_create(0)",
    );
    const env = {
      ...(await world.environment("partly")),
      PGDUMP_EXTRA_OPTS: "--exclude-table-data=skipped --no-blobs",
    };
    const manifest = await world.backup(env);
    assert.deepEqual(manifest.tables, [{ schema: "public", name: "kept", rows: 1, exact: true }]);
    assert.equal(manifest.largeObjects, 0);
  });

  it("make a database that is gone again, and one beside the live one", async () => {
    await world.database("lost", "CREATE TABLE t AS SELECT 1 AS i");
    const env = await world.environment("lost");
    await world.backup(env);
    await world.query("postgres", "DROP DATABASE lost");
    const again = await agent(env, "restore", "--json");
    assert.equal(again.code, 0, failure(again));
    const event = again.events.find((e) => e.event === "restored");
    assert.equal(event?.event === "restored" && event.previous, null);

    const beside = await agent(env, "restore", "latest", "--into", "lost beside", "--json");
    assert.equal(beside.code, 0, failure(beside));
    assert((await world.databases()).includes("lost beside"));
    const twice = await agent(env, "restore", "latest", "--into", "lost beside", "--json");
    assert.equal(twice.code, 1);
    assert.match(failure(twice), /"lost beside" exists already; --into makes a new one/);
  });

  it("swap although sessions are open and come back", async () => {
    await world.database("busy", "CREATE TABLE t AS SELECT 1 AS i");
    const env = await world.environment("busy");
    await world.backup(env);
    let stop = false;
    const clients = Array.from({ length: 4 }, async () => {
      // An application's pool: it reconnects at once whenever it is cut.
      while (!stop) await world.query("busy", "SELECT pg_sleep(30)").catch(() => {});
    });
    const outcome = await agent(env, "restore", "--json");
    stop = true;
    await world.query(
      "postgres",
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'busy'",
    );
    await Promise.all(clients);
    assert.equal(outcome.code, 0, failure(outcome));
  });

  it("restore what the old image wrote, and say that nothing was compared", async () => {
    await world.database("veteran", "CREATE TABLE t AS SELECT 1 AS i");
    const env = await world.environment("veteran");
    const { host, port, user, password } = world.postgres;
    const dump = execFileSync(
      "pg_dump",
      ["--format=custom", "-h", host, "-p", String(port), "-U", user, "veteran"],
      { env: { ...process.env, PGPASSWORD: password } },
    );
    const bucket = env["S3_BUCKET"] ?? "";
    await world.write(bucket, "shop/production/veteran_2026-01-02T03:04:05.dump", dump);
    await world.write(bucket, "shop/production/veteran_2026-01-03T03:04:05.dump.gpg", "secret");
    const outcome = await agent(env, "restore", "2026-01-02T03:04:05", "--json");
    assert.equal(outcome.code, 0, failure(outcome));
    assert.match(outcome.stderr, /without a manifest.*nothing to compare/);
    const refused = await agent(env, "restore", "latest", "--json");
    assert.equal(refused.code, 1);
    assert.match(failure(refused), /encrypted with a passphrase by the old image, and none is set/);
  });
});
