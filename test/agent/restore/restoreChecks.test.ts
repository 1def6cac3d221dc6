import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import {
  describeOccupant,
  findLostWorkers,
  isWorker,
  readOccupants,
} from "../../../agent/restore/checks/occupants.ts";
import { startPostgres } from "../../support/servers/postgres.ts";
import { startStandby } from "../../support/servers/standby.ts";
import { startStore } from "../../support/servers/store.ts";
import { agent, failure, type Outcome, unavailable, World } from "../world.ts";

/** Works in the database of one name only, as pg_cron does. */
const BOUND = {
  "bound.control": "comment = 'one database only'\ndefault_version = '1'\nrelocatable = false\n",
  "bound--1.sql": `
    DO $$ BEGIN
      IF current_database() <> current_setting('bound.database_name') THEN
        RAISE EXCEPTION 'can only create extension in database %', current_setting('bound.database_name')
        USING DETAIL = 'Jobs must be scheduled from the database configured in bound.database_name';
      END IF;
    END $$;
    CREATE SCHEMA bound;
    CREATE TABLE bound.job (id int PRIMARY KEY, what text);
    CREATE SEQUENCE bound.run;
    SELECT pg_extension_config_dump('bound.job', '');
    SELECT pg_extension_config_dump('bound.run', '');`,
};

describe("what is certain to stop a restore", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  before(async () => {
    const [postgres, store] = await Promise.all([
      startPostgres({
        settings: [
          ...["wal_level=logical", "max_prepared_transactions=5"],
          "bound.database_name=cronapp",
        ],
        extensions: BOUND,
      }),
      startStore(),
    ]);
    world = new World(postgres, store);
  });
  after(() => world?.stop());

  const beside = async (name: string) =>
    (await world.databases()).filter((database) => database.startsWith(`${name}_`));
  const count = async (database: string, table: string) =>
    (await world.query(database, `SELECT count(*)::int AS n FROM ${table}`))[0]?.["n"];
  const as = (env: Record<string, string>, role: string) => ({
    ...env,
    POSTGRES_USER: role,
    POSTGRES_PASSWORD: "a-password",
  });
  const refusedBy = async (
    env: Record<string, string>,
    sentence: RegExp,
    words: readonly string[],
  ) => {
    const outcome = await agent(env, "restore", ...words, "--json");
    assert.equal(outcome.code, 1, `${words}: ${outcome.stdout}`);
    assert.match(failure(outcome), sentence);
    assert(!outcome.stdout.includes('"step":"restore"'), "nothing was loaded");
    assert.deepEqual(await beside(env["POSTGRES_DATABASE"] ?? ""), []);
  };
  /** Refused by a dry run, which makes all checks that a restore makes. */
  const refusedDry = (env: Record<string, string>, sentence: RegExp, ...words: string[]) =>
    refusedBy(env, sentence, [...words, "--dry-run"]);
  /** Refused before anything is loaded, by a dry run too. */
  const refusedAtOnce = async (
    env: Record<string, string>,
    sentence: RegExp,
    ...words: string[]
  ) => {
    await refusedDry(env, sentence, ...words);
    await refusedBy(env, sentence, words);
  };
  const event = <Name extends string>(outcome: Outcome, name: Name) => {
    const found = outcome.events.find((e) => e.event === name);
    assert.equal(outcome.code, 0, failure(outcome) + outcome.stderr);
    return found as Extract<Outcome["events"][number], { event: Name }>;
  };
  const session = async (database: string, user = "postgres") => {
    const { host, port, password } = world.postgres;
    const client = new pg.Client({
      ...{ host, port, database, user, application_name: "puma" },
      password: user === "postgres" ? password : "a-password",
    });
    client.on("error", () => {});
    await client.connect();
    return client;
  };

  it("a subscription in the live database: named with its remedy; without it the restore works, twice", async () => {
    await world.database("source1", "CREATE TABLE t (i int PRIMARY KEY)");
    await world.query("source1", "CREATE PUBLICATION p FOR TABLE t");
    await world.query(
      "source1",
      "SELECT pg_create_logical_replication_slot('copy1_sub', 'pgoutput')",
    );
    const { port, password } = world.postgres;
    await world.database("copy1", "CREATE TABLE t (i int PRIMARY KEY)");
    await world.query(
      "copy1",
      `CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 port=${port} user=postgres password=${password} dbname=source1' PUBLICATION p WITH (create_slot = false, slot_name = 'copy1_sub')`,
    );
    // A background worker that really works there, by which the subscription would be named also if no catalog told of it.
    await world.query("postgres", "CREATE ROLE onlooker LOGIN PASSWORD 'a-password'");
    const working =
      "SELECT FROM pg_stat_activity WHERE backend_type = 'logical replication worker'";
    while ((await world.query("postgres", working)).length === 0) await sleep(20);
    // One that the server always has, and one that has not come back.
    const looking = await session("postgres");
    const worker = { pid: 4711, application: "", role: null, superuser: true, endable: true };
    const ended = ["logical replication launcher", "cron launcher"].map((type) => ({
      ...worker,
      type,
    }));
    assert.deepEqual(await findLostWorkers(looking, ended, 1), [
      "the cron launcher (pid 4711): it was ended for the swap, and the server has not started it again. Restart the server",
    ]);
    await looking.end();
    for (const [user, type, endable] of [
      ["postgres", "logical replication worker", true],
      ["onlooker", "process", false],
    ] as const) {
      const client = await session("postgres", user);
      const found = await readOccupants(client, "copy1");
      await client.end();
      assert(found.length > 0);
      for (const occupant of found) {
        assert.match(describeOccupant(occupant), new RegExp(`^${type}.* of "postgres" \\(pid `));
        assert.deepEqual([occupant.endable, isWorker(occupant)], [endable, endable]);
      }
    }
    const env = await world.environment("copy1");
    await world.backup(env);
    await refusedAtOnce(
      env,
      /the database "copy1" cannot be replaced now: the subscription "s" is enabled there.*ALTER SUBSCRIPTION "s" DISABLE\. Nothing was changed; --into NAME/,
    );
    await world.query("copy1", "ALTER SUBSCRIPTION s DISABLE");
    for (let time = 1; time <= 2; time += 1)
      event(await agent(env, "restore", "--json"), "restored");
    assert.equal((await beside("copy1")).length, 2);
    // So that the server's end does not wait for it.
    for (const name of ["copy1", ...(await beside("copy1"))]) {
      await world.query(
        name,
        "ALTER SUBSCRIPTION s DISABLE",
        "ALTER SUBSCRIPTION s SET (slot_name = NONE)",
      );
    }
  });

  it("a leftover of ours with a subscription, or marked as a template, never stands in the way", async () => {
    await world.database("leftover", "CREATE TABLE t AS SELECT 1 AS i");
    const env = await world.environment("leftover");
    const { takenAt } = await world.backup(env);
    const name = `leftover_restore_${takenAt.replace(/[-:Z]/g, "")}`;
    await world.query("postgres", `CREATE DATABASE "${name}"`);
    await world.query(
      "postgres",
      `COMMENT ON DATABASE "${name}" IS 'kamal-postgres-backup: unfinished restore, safe to drop'`,
    );
    await world.query(
      name,
      "CREATE SUBSCRIPTION left_s CONNECTION 'host=127.0.0.1 port=1 dbname=x' PUBLICATION p WITH (connect = false, slot_name = 'not_ours')",
      "ALTER SUBSCRIPTION left_s ENABLE",
    );
    await world.query("postgres", `ALTER DATABASE "${name}" IS_TEMPLATE true`);
    event(await agent(env, "restore", "--json"), "restored");
    assert(!(await world.databases()).includes(name));
  });

  it("a prepared transaction: named with its remedy", async () => {
    await world.database("prepared", "CREATE TABLE t (i int)");
    const env = await world.environment("prepared");
    await world.backup(env);
    await world.query(
      "prepared",
      "BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'half ''way'",
    );
    await refusedDry(
      env,
      /the prepared transaction 'half ''way' of "postgres" is open there\. End it, in that database: COMMIT PREPARED 'half ''way' or ROLLBACK PREPARED/,
    );
    await world.query("prepared", "ROLLBACK PREPARED 'half ''way'");
    event(await agent(env, "restore", "--dry-run", "--json"), "planned");
  });

  it("an owner with CREATEDB restores, past sessions that it may end but not see", async () => {
    await world.query(
      "postgres",
      "CREATE ROLE own LOGIN CREATEDB PASSWORD 'a-password'",
      "CREATE ROLE web LOGIN PASSWORD 'a-password'",
      "CREATE DATABASE mine OWNER own",
    );
    await world.query("mine", "SET ROLE own; CREATE TABLE t AS SELECT generate_series(1, 9) AS i");
    const env = as(await world.environment("mine"), "own");
    await world.backup(env);
    event(await agent(env, "restore", "--json"), "restored");
    assert.equal(await count("mine", "t"), 9);

    const web = await session("mine", "web");
    const before = await beside("mine");
    const kept = await agent(env, "restore", "--dry-run", "--json");
    assert.match(
      failure(kept),
      /the role "own" may not end .*"puma" of "web" \(pid \d+\)\. Let it: GRANT pg_signal_backend TO "own"\./,
    );
    assert.deepEqual(await beside("mine"), before);
    await world.query("postgres", "GRANT pg_signal_backend TO own");
    event(await agent(env, "restore", "--json"), "restored");
    await web.end().catch(() => {});

    const superuser = await session("mine");
    const outcome = await agent(env, "restore", "--json");
    assert.match(failure(outcome), /only a superuser may end .*"puma" of "postgres" \(pid \d+\)/);
    await superuser.end();
  });

  it("exactly the rights that are missing are named", async () => {
    await world.query(
      "postgres",
      "CREATE ROLE poor LOGIN PASSWORD 'a-password' IN ROLE pg_read_all_data",
      "CREATE ROLE boss",
      "CREATE DATABASE bossy OWNER boss",
    );
    await world.query("bossy", "CREATE TABLE t (i int)");
    const env = as(await world.environment("bossy"), "poor");
    await world.backup(env);
    await refusedAtOnce(
      env,
      /the role "poor" lacks what this restore needs: CREATEDB: ALTER ROLE "poor" CREATEDB; membership in "boss", which owns the new database: GRANT "boss" TO "poor"\. A superuser/,
    );
    await world.query("postgres", "ALTER ROLE poor CREATEDB");
    await refusedDry(env, /needs: membership in "boss", which owns the new database: GRANT/);
    await world.query("postgres", "GRANT boss TO poor", "ALTER ROLE poor NOCREATEDB");
    await refusedDry(env, /needs: CREATEDB: ALTER ROLE "poor" CREATEDB\. A superuser/);
    await world.query("postgres", "ALTER ROLE poor CREATEDB CONNECTION LIMIT 4");
    await refusedDry(
      env,
      /needs: 5 connections at a time beside 0 others: ALTER ROLE "poor" CONNECTION LIMIT 5\. A superuser/,
    );
    await world.query("postgres", "ALTER ROLE poor NOCREATEDB CONNECTION LIMIT -1");
    // What stands in the archive is asked of the server too.
    await world.query("postgres", "ALTER ROLE poor CREATEDB");
    await refusedDry(env, /TABLE public\.t: must be .*Restore as a superuser.*--keep-going/);
  });

  it("a role that only a policy, a grant of defaults, a mapping or a large object names", async () => {
    await world.query(
      "postgres",
      "CREATE ROLE tenant",
      "CREATE ROLE defaults",
      "CREATE ROLE mapped",
      "CREATE ROLE blobs",
    );
    await world.database(
      "roles",
      "CREATE TABLE d (i int)",
      "INSERT INTO d VALUES (1)",
      "CREATE POLICY p ON d TO tenant USING (true)",
      "ALTER DEFAULT PRIVILEGES FOR ROLE postgres REVOKE ALL ON TABLES FROM defaults; ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT SELECT ON TABLES TO defaults",
      "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w; CREATE USER MAPPING FOR mapped SERVER far",
      "SELECT lo_create(4711); ALTER LARGE OBJECT 4711 OWNER TO blobs",
    );
    const env = await world.environment("roles");
    await world.backup(env);
    await world.query(
      "roles",
      "DROP OWNED BY tenant, defaults, mapped, blobs; DROP SERVER far CASCADE",
    );
    await world.query("postgres", "DROP ROLE tenant, defaults, mapped, blobs");
    await refusedDry(
      env,
      /roles that this server does not have: "blobs", "defaults", "mapped", "tenant"\. Restore with --globals/,
    );
    const words = ["--globals", "--dry-run", "--json"];
    const planned = event(await agent(env, "restore", ...words), "planned");
    assert.deepEqual(planned.roles.toSorted(), ["blobs", "defaults", "mapped", "tenant"]);
  });

  it("an owner that --globals will make is no obstacle for a dry run", async () => {
    await world.query("postgres", "CREATE ROLE founder", "CREATE DATABASE founded OWNER founder");
    await world.query("founded", "SET ROLE founder; CREATE TABLE t AS SELECT 1 AS i");
    const env = await world.environment("founded");
    await world.backup(env);
    await world.query("postgres", "DROP DATABASE founded", "DROP ROLE founder");
    const planned = event(
      await agent(env, "restore", "--globals", "--dry-run", "--json"),
      "planned",
    );
    assert.deepEqual(planned.roles, ["founder"]);
  });

  it("a standby: its primary is where to restore", async () => {
    await world.database("onstandby", "CREATE TABLE t (i int)");
    const env = await world.environment("onstandby");
    await world.backup(env);
    const standby = await startStandby(world.postgres, "max_prepared_transactions=5");
    try {
      await refusedDry(
        { ...env, POSTGRES_PORT: String(standby.port) },
        /^this server is a standby, which takes no writes; restore on its primary/,
      );
    } finally {
      await standby.stop();
    }
  });

  it("a dump of one schema: the schema that every database has is no obstacle, also where a restore keeps going", async () => {
    await world.database(
      "oneschema",
      "CREATE TABLE t AS SELECT generate_series(1, 4) AS i",
      "COMMENT ON SCHEMA public IS 'ours'",
      "CREATE SCHEMA other",
      "CREATE TABLE other.o (i int)",
    );
    const env = { ...(await world.environment("oneschema")), PGDUMP_EXTRA_OPTS: "--schema=public" };
    await world.backup(env);
    event(await agent(env, "restore", "--into", "oneschema2", "--json"), "restored");
    assert.equal(await count("oneschema2", "t"), 4);
    const [schema] = await world.query(
      "oneschema2",
      "SELECT obj_description('public'::regnamespace) AS comment",
    );
    assert.equal(schema?.["comment"], "ours");
    const again = await agent(env, "restore", "--into", "oneschema3", "--keep-going", "--json");
    assert.deepEqual(event(again, "restored").failed, []);
  });

  it("what the dump's options left out is named before loading, and the rest can be got out", async () => {
    await world.database(
      "partial",
      "CREATE TABLE events (id int PRIMARY KEY)",
      "CREATE TABLE hits (id int REFERENCES events)",
      "CREATE VIEW seen AS SELECT * FROM events",
      "INSERT INTO events VALUES (1); INSERT INTO hits VALUES (1)",
    );
    const env = {
      ...(await world.environment("partial")),
      PGDUMP_EXTRA_OPTS: "--exclude-table=public.events",
    };
    const backup = await agent(env, "backup");
    assert.equal(backup.code, 0, backup.stderr);
    assert.match(
      backup.stderr,
      /cannot be restored as it is: constraint hits_id_fkey on table public\.hits needs table public\.events; view public\.seen needs table public\.events, which .*PGDUMP_EXTRA_OPTS/,
    );
    await refusedAtOnce(
      env,
      /VIEW public\.seen: relation "public\.events" does not exist.*PGDUMP_EXTRA_OPTS.*--into partial_saved --keep-going/,
      "--into",
      "partial_no",
    );
    const outcome = await agent(env, "restore", "--into", "partial2", "--keep-going", "--json");
    assert.equal(outcome.code, 2, failure(outcome));
    assert.equal(await count("partial2", "hits"), 1);
  });

  it("an extension that insists on the database's name is made after the swap, or left out and named", async () => {
    await world.database(
      "cronapp",
      "CREATE EXTENSION bound",
      "INSERT INTO bound.job VALUES (1, 'nightly')",
      "SELECT setval('bound.run', 41)",
      "CREATE TABLE t AS SELECT generate_series(1, 3) AS i",
      "CREATE VIEW jobs AS SELECT * FROM bound.job",
    );
    const env = await world.environment("cronapp");
    await world.backup(env);
    await world.query("cronapp", "DELETE FROM t", "DELETE FROM bound.job");
    const dry = event(await agent(env, "restore", "--dry-run", "--json"), "planned");
    assert.deepEqual(dry.notRestored, []);
    const restored = event(await agent(env, "restore", "--json"), "restored");
    assert.deepEqual(restored.notRestored, []);
    assert.equal(await count("cronapp", "t"), 3);
    assert.deepEqual(await world.query("cronapp", "SELECT * FROM jobs"), [
      { id: 1, what: "nightly" },
    ]);
    assert.deepEqual(await world.query("cronapp", "SELECT last_value::int AS n FROM bound.run"), [
      { n: 41 },
    ]);

    const other = event(await agent(env, "restore", "--into", "cron_look", "--json"), "restored");
    assert.equal(await count("cron_look", "t"), 3);
    assert.match(
      other.notRestored.join("; "),
      /EXTENSION bound and \d+ entries that need it \(can only create extension in database cronapp\)/,
    );
  });

  it("an estimate that is far off is a remark", async () => {
    await world.database(
      "purged",
      "CREATE TABLE events (id int, pad text) WITH (autovacuum_enabled = off)",
      "INSERT INTO events SELECT n, 'x' FROM generate_series(1, 20000) n",
      "DELETE FROM events WHERE id <= 15000",
      "UPDATE pg_class SET reltuples = 80000000 WHERE relname = 'events'",
    );
    const env = await world.environment("purged");
    await world.backup(env);
    const outcome = await agent(env, "restore", "--into", "purged2", "--json");
    event(outcome, "restored");
    assert.equal(await count("purged2", "events"), 5000);
  });

  it("what lies on another server, in a tablespace that is not here, or in a version of its own is said, and costs nothing else", async () => {
    const { host, port, password } = world.postgres;
    await world.database("afar", "CREATE TABLE far (i int)", "INSERT INTO far VALUES (1), (2)");
    await world.query(
      "postgres",
      "SET allow_in_place_tablespaces = on",
      "CREATE TABLESPACE \"Fast one\" LOCATION ''",
    );
    await world.database(
      "scattered",
      "CREATE EXTENSION postgres_fdw; CREATE EXTENSION pg_trgm VERSION '1.5'",
      `CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '${host}', port '${port}', dbname 'afar')`,
      `CREATE USER MAPPING FOR postgres SERVER s OPTIONS (user 'postgres', password '${password}')`,
      "CREATE FOREIGN TABLE far (i int) SERVER s",
      'CREATE TABLE quick (i int PRIMARY KEY USING INDEX TABLESPACE "Fast one") TABLESPACE "Fast one"',
      "INSERT INTO quick SELECT generate_series(1, 7)",
    );
    const env = {
      ...(await world.environment("scattered")),
      PGDUMP_EXTRA_OPTS: "--include-foreign-data=s",
    };
    await world.backup(env);
    await world.query("postgres", "DROP DATABASE scattered", 'DROP TABLESPACE "Fast one"');
    const lost = [
      "the rows of the foreign table public.far, which a restore would write to its server",
      'the version 1.5 of the extension "pg_trgm": this server makes 1.6',
      'the tablespaces of tables and indexes, which lie where the database does: this server has none that is called "Fast one"',
    ];
    for (const [name, word] of [
      ["scattered", []],
      ["scattered_too", ["--keep-going"]],
    ] as const) {
      const into = ["--into", name, ...word, "--json"];
      const restored = event(await agent(env, "restore", ...into), "restored");
      assert.deepEqual(restored.notRestored, lost);
      assert.equal(await count(name, "quick"), 7);
      assert.equal(await count("afar", "far"), 2, "nothing was written to the other server");
    }
  });

  it("a server without production's roles: everything belongs to the connection's role, or to a named one", async () => {
    await world.query(
      "postgres",
      "CREATE ROLE ownerz",
      "CREATE ROLE readerz",
      "CREATE ROLE staging",
    );
    await world.query("postgres", "CREATE DATABASE product OWNER ownerz");
    await world.query(
      "product",
      "CREATE EXTENSION citext",
      "CREATE SCHEMA app",
      "CREATE TABLE app.t AS SELECT generate_series(1, 6) AS i; ALTER TABLE app.t OWNER TO ownerz",
      "ALTER SCHEMA app OWNER TO ownerz; GRANT SELECT ON app.t TO readerz",
      "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION f() OWNER TO ownerz",
      "CREATE POLICY p ON app.t TO readerz USING (true)",
      "CREATE TABLE u (c citext); ALTER TABLE u OWNER TO ownerz",
    );
    const env = await world.environment("product");
    await world.backup(env);
    await world.query("postgres", "DROP DATABASE product");
    await world.query("postgres", "DROP ROLE ownerz, readerz");
    await refusedDry(env, /does not have: "ownerz", "readerz".*--no-owner/);
    const owners = async (database: string) => {
      const rows = await world.query(
        database,
        `SELECT DISTINCT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relname IN ('t', 'u')
         UNION SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'app'
         UNION SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE proname = 'f'
         UNION SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()`,
      );
      return rows.map((row) => row["owner"]);
    };
    const plain = event(await agent(env, "restore", "--no-owner", "--json"), "restored");
    assert.deepEqual(await owners("product"), ["postgres"]);
    assert.match(
      plain.notRestored.join("\n"),
      /owners and grants: everything belongs to the role of/,
    );
    assert.match(plain.notRestored.join("\n"), /POLICY app\.t p, which is for "readerz"/);
    event(
      await agent(env, "restore", "--into", "product2", "--role", "staging", "--json"),
      "restored",
    );
    assert.deepEqual(await owners("product2"), ["staging"]);
    assert.equal(await count("product2", "app.t"), 6);
    const outcome = await agent(env, "restore", "--role", "nobody", "--json");
    assert.match(failure(outcome), /--role nobody: this server has no such role/);
  });

  it("a part of a backup: one schema, or without some tables", async () => {
    await world.database(
      "parts",
      "CREATE SCHEMA app; CREATE EXTENSION citext",
      "CREATE TABLE app.a AS SELECT generate_series(1, 2) AS i",
      "CREATE TABLE app.log_1 (i int); CREATE TABLE app.log_2 (i serial PRIMARY KEY, c citext)",
      "CREATE TABLE other (i int PRIMARY KEY); INSERT INTO other VALUES (1)",
      "CREATE TABLE app.refers (i int REFERENCES other); INSERT INTO app.refers VALUES (1)",
      "CREATE VIEW app.logs AS SELECT i FROM app.log_2",
    );
    const env = await world.environment("parts");
    await world.backup(env);
    await refusedDry(env, /would take the place of the whole live database/, "--schema", "app");
    const tables = async (database: string) =>
      (
        await world.query(
          database,
          "SELECT relname AS name FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace IN ('public'::regnamespace, 'app'::regnamespace) ORDER BY 1",
        )
      ).map((row) => row["name"]);
    const one = event(
      await agent(env, "restore", "--into", "parts1", "--schema", "app", "--json"),
      "restored",
    );
    assert.deepEqual(await tables("parts1"), ["a", "log_1", "log_2", "logs", "refers"]);
    assert.match(one.notRestored.join("\n"), /table public\.other, which was left out/);
    assert.match(
      one.notRestored.join("\n"),
      /FK CONSTRAINT app\.refers refers_i_fkey, which needs/,
    );
    const without = event(
      await agent(env, "restore", "--into", "parts2", "--exclude-table", "app.log_*", "--json"),
      "restored",
    );
    assert.deepEqual(await tables("parts2"), ["a", "other", "refers"]);
    assert.match(without.notRestored.join("\n"), /VIEW app\.logs, which needs what was left out/);
    const wrong = await agent(
      env,
      "restore",
      "--into",
      "parts3",
      "--exclude-table",
      "nix",
      "--json",
    );
    assert.match(
      failure(wrong),
      /--exclude-table nix: the backup has no such table\. It has app\.a/,
    );
  });
});
