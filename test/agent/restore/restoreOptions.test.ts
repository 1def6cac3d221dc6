import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect } from "../../../agent/postgres/connection.ts";
import { requireExtensions } from "../../../agent/restore/checks/requiredExtensions.ts";
import { freeName } from "../../../agent/restore/properties/databaseProperties.ts";
import { findServerPrograms } from "../../support/servers/postgres.ts";
import { agent, failure, type Outcome, unavailable, World } from "../world.ts";

const event = <Name extends string>(outcome: Outcome, name: Name) => {
  const found = outcome.events.find((e) => e.event === name);
  assert.equal(outcome.code, 0, failure(outcome));
  return found as Extract<Outcome["events"][number], { event: Name }>;
};

/** A dump of an older pg_dump lies within zstd, and is read whole. */
const wayHere = ((await findServerPrograms())?.major ?? 0) >= 16 ? "parts" : "stream";

describe("options of a restore", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start();
  });
  after(() => world?.stop());

  const prepare = async (name: string, ...more: string[]) => {
    await world.database(name, "CREATE TABLE t AS SELECT generate_series(1, 100) AS i", ...more);
    const env = await world.environment(name);
    return { env, manifest: await world.backup(env) };
  };
  const rows = async (name: string) =>
    (await world.query(name, "SELECT count(*)::int AS n FROM t"))[0]?.["n"];
  const beside = async (name: string) =>
    (await world.databases()).filter((database) => database.startsWith(`${name}_`));

  it("--dry-run checks everything and makes nothing", async () => {
    const { env, manifest } = await prepare("dry");
    await world.query("dry", "DELETE FROM t");
    const outcome = await agent(env, "restore", "--dry-run", "--json");
    const planned = event(outcome, "planned");
    assert.equal(planned.key, manifest.object.key);
    assert.deepEqual([planned.tables, planned.rows, planned.roles], [1, 100, []]);
    assert.match(planned.previous ?? "", /^dry_before_/);
    const nameless = await agent(env, "restore", "--into=", "--yes", "--json");
    assert.equal(failure(nameless), "--into has no name. Give the new database one: --into NAME");
    assert.deepEqual(await beside("dry"), []);
    assert.equal(await rows("dry"), 0);
  });

  it("--table restores one table with what it needs, into a new database alone", async () => {
    const { env } = await prepare(
      "single",
      "CREATE TYPE state AS ENUM ('open', 'done')",
      "CREATE TABLE users (id serial PRIMARY KEY)",
      "INSERT INTO users SELECT FROM generate_series(1, 3)",
      "CREATE TABLE orders (id serial PRIMARY KEY, user_id int REFERENCES users, state state DEFAULT 'open')",
      "INSERT INTO orders (user_id) SELECT 1 FROM generate_series(1, 7)",
      "CREATE INDEX orders_state ON orders (state)",
    );
    const words = ["restore", "--table", "public.orders", "--yes", "--json"];
    assert.match(failure(await agent(env, ...words)), /--table public\.orders restores single/);
    const outcome = await agent(env, ...words, "--into", "single_orders");
    const restored = event(outcome, "restored");
    assert.deepEqual([restored.tables, restored.rows, restored.way], [1, 7, wayHere]);
    assert.deepEqual(restored.notRestored, [
      "FK CONSTRAINT public.orders orders_user_id_fkey, which needs what was left out",
    ]);
    const [made] = await world.query(
      "single_orders",
      `SELECT (SELECT count(*)::int FROM orders WHERE state = 'open') AS rows,
              (SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace) AS names,
              nextval('orders_id_seq')::int AS next`,
    );
    const names = "orders orders_id_seq orders_pkey orders_state";
    assert.deepEqual(made, { rows: 7, names, next: 8 });
    const unknown = await agent(env, "restore", "--table", "order", "--into", "no", "--json");
    assert.match(
      failure(unknown),
      /^--table order: the backup has no such table\. It has public\./,
    );
    const jobs = await agent(env, "restore", "--jobs", "0", "--json");
    assert.equal(failure(jobs), "--jobs 0 must be a number of connections from 1 to 99.");
  });

  it("undo swaps back, and back again, and takes no other name than its own", async () => {
    const { env } = await prepare("again");
    await world.query("again", "DELETE FROM t", "COMMENT ON DATABASE again IS 'mine'");
    const restored = event(await agent(env, "restore", "--json"), "restored");
    assert.equal(restored.undo, `undo ${restored.previous}`);
    assert.equal(await rows("again"), 100);
    const undone = event(await agent(env, "undo", restored.previous ?? "", "--json"), "undone");
    assert.equal(await rows("again"), 0);
    assert.equal(await rows(undone.previous ?? ""), 100);
    const [kept] = await world.query(
      "again",
      "SELECT shobj_description(oid, 'pg_database') AS comment FROM pg_database WHERE datname = 'again'",
    );
    assert.equal(kept?.["comment"], "mine");
    assert.deepEqual(await beside("again"), [undone.previous]);
    const redone = event(await agent(env, "undo", undone.previous ?? "", "--json"), "undone");
    assert.equal(await rows("again"), 100);
    assert.deepEqual(await beside("again"), [redone.previous]);

    // It takes no other name than its own.
    await world.database("other_before_20260101T000000", "CREATE TABLE t (i int)");
    await world.database("again_before_me", "CREATE TABLE t (i int)");
    for (const [name, sentence] of [
      ["postgres", /"postgres" is no name that a restore of "again" leaves\. Kept there: "again_/],
      ["other_before_20260101T000000", /is no name that a restore of "again" leaves/],
      ["again_before_me", /is no name that a restore of "again" leaves/],
      ["again_before_20200101T000000", /there is no database .*Kept there: "again_/],
    ] as const) {
      const outcome = await agent(env, "undo", name, "--json");
      assert.equal(outcome.code, 1);
      assert.match(failure(outcome), sentence);
    }
    assert((await world.databases()).includes(redone.previous ?? ""));
  });

  it("undo finds the database of a name that had to be shortened, among several", async () => {
    const long = "é".repeat(30);
    const { env } = await prepare(long);
    await world.query(long, "DELETE FROM t");
    const several = { ...env, POSTGRES_DATABASE: `postgres,${long}` };
    const restored = event(
      await agent(several, "restore", "--database", long, "--json"),
      "restored",
    );
    assert.equal(await rows(long), 100);
    event(await agent(several, "undo", restored.previous ?? "", "--json"), "undone");
    assert.equal(await rows(long), 0);
  });

  it("--not-after takes the latest of that time or before", async () => {
    const { env, manifest: first } = await prepare("times");
    await world.query("times", "DELETE FROM t WHERE i > 10");
    await world.backup(env);
    const at = first.takenAt;
    const outcome = await agent(env, "restore", "--not-after", at, "--dry-run", "--json");
    assert.equal(event(outcome, "planned").from, at.replace("Z", ""));
    const none = await agent(env, "restore", "--not-after", "2001-01-01T00:00", "--json");
    assert.equal(none.code, 1);
    assert.match(
      failure(none),
      /no backup in s3:.* is as old as 2001-01-01T00:00: the oldest is of/,
    );
  });

  it("two restores in one second keep both databases of before", async () => {
    const client = await connect({ ...world.postgres, database: "postgres", dumpOptions: "" });
    try {
      const now = new Date("2026-11-24T03:15:02.900Z");
      const first = await freeName(client, "twice", "before", now);
      assert.equal(first, "twice_before_20261124T031502");
      await client.query(`CREATE DATABASE "${first}"`);
      const second = await freeName(client, "twice", "before", now);
      assert.equal(second, "twice_before_20261124T031503");
    } finally {
      await client.end();
    }
  });

  it("missing roles are named before anything is made, and --globals makes them", async () => {
    const role = 'Report "x" reader';
    const quoted = `"${role.replaceAll('"', '""')}"`;
    await world.query(
      "postgres",
      "CREATE ROLE owner_of_t LOGIN PASSWORD 'secret-of-owner' CONNECTION LIMIT 7",
      `CREATE ROLE ${quoted}`,
      `GRANT ${quoted} TO owner_of_t`,
      "COMMENT ON ROLE owner_of_t IS 'it''s; a \\ role'",
      "ALTER ROLE owner_of_t SET search_path TO 'a', 'b'",
    );
    const { env, manifest } = await prepare(
      "owned_by",
      "ALTER TABLE t OWNER TO owner_of_t",
      `GRANT SELECT ON t TO ${quoted}`,
    );
    assert(manifest.globals !== null);
    await world.query("owned_by", "DROP OWNED BY owner_of_t CASCADE", `DROP OWNED BY ${quoted}`);
    await world.query("postgres", "DROP ROLE owner_of_t", `DROP ROLE ${quoted}`);

    const refused = await agent(env, "restore", "--json");
    assert.equal(refused.code, 1);
    assert.match(
      failure(refused),
      /roles that this server does not have: "Report "x" reader", "owner_of_t"\. Restore with --globals/,
    );
    assert.deepEqual(await beside("owned_by"), []);

    const dry = await agent(env, "restore", "--globals", "--dry-run", "--json");
    assert.deepEqual(event(dry, "planned").roles.toSorted(), [role, "owner_of_t"]);
    assert.equal(
      (await world.query("postgres", "SELECT FROM pg_roles WHERE rolname = 'owner_of_t'")).length,
      0,
    );

    const outcome = await agent(env, "restore", "--globals", "--json");
    assert.deepEqual(event(outcome, "restored").loginRoles, ["owner_of_t"]);
    assert.match(
      outcome.stderr,
      /made the roles .*"owner_of_t".* without passwords\. Give a password to each that may log in: "owner_of_t"\./,
    );
    const [made] = await world.query(
      "postgres",
      `SELECT r.rolcanlogin, r.rolconnlimit, a.rolpassword IS NULL AS none,
              array_to_string(r.rolconfig, ' ') AS config,
              shobj_description(r.oid, 'pg_authid') AS comment,
              pg_has_role(r.oid, 'Report "x" reader', 'MEMBER') AS member
       FROM pg_roles r JOIN pg_authid a USING (oid) WHERE r.rolname = 'owner_of_t'`,
    );
    assert.deepEqual(made, {
      rolcanlogin: true,
      rolconnlimit: 7,
      none: true,
      config: "search_path=a, b",
      comment: "it's; a \\ role",
      member: true,
    });
    assert.equal(await rows("owned_by"), 100);
    const again = await agent(env, "restore", "--globals", "--json");
    assert.deepEqual(event(again, "restored").loginRoles, [], "it was there already");
  });

  it("an extension that the server cannot create is named", async () => {
    const client = await connect({ ...world.postgres, database: "postgres", dumpOptions: "" });
    try {
      const needs = {
        roles: new Set<string>(),
        extensions: new Set(["plpgsql", "no_such", "nor"]),
      };
      await assert.rejects(
        requireExtensions(client, needs),
        /extensions that this server cannot create: "no_such", "nor"\. .*Nothing was changed/,
      );
    } finally {
      await client.end();
    }
  });
});
