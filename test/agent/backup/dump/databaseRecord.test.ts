import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Manifest } from "../../../../common/contracts/manifest.ts";
import { agent, failure, unavailable, World } from "../../world.ts";

const SECRET = "jwt-secret-of-the-application";

describe("what a manifest says of the database", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start();
    await world.query(
      "postgres",
      "CREATE ROLE app LOGIN",
      "CREATE ROLE readers",
      "CREATE ROLE alice LOGIN IN ROLE readers",
      "CREATE ROLE tenant",
      "CREATE ROLE bystander",
      `CREATE DATABASE ledger OWNER app TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C'
         CONNECTION LIMIT 40`,
      "ALTER DATABASE ledger SET timezone = 'Asia/Tokyo'",
      `ALTER DATABASE ledger SET app.secret = '${SECRET}=='`,
      "ALTER ROLE alice IN DATABASE ledger SET statement_timeout = '9s'",
      "REVOKE CONNECT ON DATABASE ledger FROM PUBLIC",
      "GRANT CONNECT ON DATABASE ledger TO readers",
      `COMMENT ON DATABASE ledger IS 'the books, ${SECRET}'`,
      // As SECURITY LABEL leaves it, for which a provider would have to be loaded.
      `INSERT INTO pg_shseclabel SELECT oid, 'pg_database'::regclass, 'not_here', 'top, ${SECRET}'
         FROM pg_database WHERE datname = 'ledger'`,
    );
    await world.query(
      "ledger",
      "CREATE EXTENSION pg_trgm",
      "CREATE SCHEMA history",
      "SET ROLE app",
      "CREATE TABLE orders (id int PRIMARY KEY, note text)",
      "INSERT INTO orders SELECT n, 'x' FROM generate_series(1, 5) n",
      "RESET ROLE",
      "ALTER TABLE orders ENABLE ROW LEVEL SECURITY",
      "CREATE POLICY p ON orders TO tenant USING (true)",
      "CREATE TABLE history.audits AS SELECT generate_series(1, 50) AS id",
      "CREATE INDEX ON history.audits (id)",
      "COMMENT ON TABLE history.audits IS 'who did what'",
      "CREATE TABLE sessions AS SELECT generate_series(1, 9) AS id",
      "CREATE VIEW open_orders AS SELECT * FROM orders",
      "CREATE PUBLICATION cdc FOR TABLE orders",
    );
  });
  after(() => world?.stop());

  const backup = async (more: Record<string, string> = {}): Promise<Manifest> =>
    world.backup({ ...(await world.environment("ledger")), ...more });
  const all = {
    owner: "app",
    encoding: "UTF8",
    localeProvider: "libc",
    collate: "C",
    ctype: "C",
    locale: null,
    icuRules: null,
    tablespace: "pg_default",
    connectionLimit: 40,
    isTemplate: false,
    allowConnections: true,
  };

  it("owner, locale, settings, grants, comment, label, extensions and roles", async () => {
    const { properties, extensions, roles, dump, server } = await backup();
    assert.deepEqual(properties, {
      ...all,
      acl: [
        { grantee: null, privilege: "TEMPORARY", grantable: false },
        { grantee: "app", privilege: "CREATE", grantable: false },
        { grantee: "app", privilege: "TEMPORARY", grantable: false },
        { grantee: "app", privilege: "CONNECT", grantable: false },
        { grantee: "readers", privilege: "CONNECT", grantable: false },
      ],
      settings: [
        { role: null, name: "TimeZone", value: "Asia/Tokyo" },
        { role: null, name: "app.secret", value: `${SECRET}==` },
        { role: "alice", name: "statement_timeout", value: "9s" },
      ],
      comment: `the books, ${SECRET}`,
      labels: [{ provider: "not_here", label: `top, ${SECRET}` }],
    });
    assert.deepEqual(
      extensions?.map(({ name, schema }) => [name, schema]),
      [
        ["pg_trgm", "public"],
        ["plpgsql", "pg_catalog"],
      ],
    );
    assert.deepEqual(roles, ["alice", "app", "postgres", "readers", "tenant"]);
    assert.equal(server.bootstrapRole, "postgres");
    const nothing = { options: [], tablesLeftOut: [], dataLeftOut: [], otherLeftOut: {} };
    assert.deepEqual(dump, { ...nothing, warnings: [] });
  });

  it("of an encrypted backup neither a setting's value nor the comment or a label is in clear", async () => {
    const manifest = await backup({ PASSPHRASE: "a passphrase of the test" });
    assert.equal(manifest.encryption, "age");
    assert.doesNotMatch(JSON.stringify(manifest), new RegExp(SECRET));
    assert.deepEqual(manifest.properties?.settings, [
      { role: null, name: "TimeZone" },
      { role: null, name: "app.secret" },
      { role: "alice", name: "statement_timeout" },
    ]);
    assert(!("comment" in (manifest.properties ?? {})));
    assert.deepEqual(manifest.properties?.labels, [{ provider: "not_here" }]);
  });

  it("what the options leave out, also in the list", async () => {
    const audits = { schema: "history", name: "audits" };
    const sessions = { schema: "public", name: "sessions" };
    const orders = { schema: "public", name: "orders" };
    for (const [text, left, remark] of [
      [
        "--exclude-table=*.audits --exclude-table-data=sessions",
        { tablesLeftOut: [audits], dataLeftOut: [sessions], otherLeftOut: {} },
        "partial: without the table history.audits, the rows of public.sessions",
      ],
      [
        "-t orders",
        {
          tablesLeftOut: [audits, sessions],
          dataLeftOut: [],
          otherLeftOut: { EXTENSION: 1, PUBLICATION: 1, SCHEMA: 1, VIEW: 1 },
        },
        "partial: without the tables history.audits, public.sessions, 1 ",
      ],
      [
        "--no-comments --no-publications",
        {
          tablesLeftOut: [],
          dataLeftOut: [],
          otherLeftOut: { COMMENT: 2, PUBLICATION: 1, "PUBLICATION TABLE": 1 },
        },
        "partial: without 2 comments, 1 publication, 1 publication table",
      ],
      [
        "--exclude-table-data=orders --lock-wait-timeout=30s",
        { tablesLeftOut: [], dataLeftOut: [orders], otherLeftOut: {} },
        "partial: without the rows of public.orders",
      ],
      // They leave nothing out, and a superuser sees every row.
      [
        "--encoding LATIN9 --enable-row-security",
        { tablesLeftOut: [], dataLeftOut: [], otherLeftOut: {} },
        "whole",
      ],
    ] as const) {
      const env = { ...(await world.environment("ledger")), PGDUMP_EXTRA_OPTS: text };
      const { dump } = await world.backup(env);
      const sorted = Object.entries(dump?.otherLeftOut ?? {}).toSorted();
      assert.deepEqual(
        { ...dump, otherLeftOut: Object.fromEntries(sorted) },
        { options: text.split(" "), ...left, warnings: [] },
      );
      const listed = await agent(env, "list");
      assert.ok(listed.stdout.includes(remark === "whole" ? "" : remark), listed.stdout);
      assert.equal(listed.stdout.includes("partial"), remark !== "whole", listed.stdout);
    }
  });

  it("rows that row security hides from the role are not called whole", async () => {
    await world.query(
      "postgres",
      "CREATE ROLE tenant_app LOGIN PASSWORD 'password-of-tenant'",
      "CREATE DATABASE tenants OWNER tenant_app",
    );
    await world.query(
      "tenants",
      "SET ROLE tenant_app",
      "CREATE TABLE secret (owner text); INSERT INTO secret VALUES ('tenant_app'), ('other')",
      "CREATE TABLE open (i int); INSERT INTO open VALUES (1)",
      "ALTER TABLE secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
      "CREATE POLICY own ON secret USING (owner = current_user)",
    );
    const env = {
      ...(await world.environment("tenants")),
      ...{ POSTGRES_USER: "tenant_app", POSTGRES_PASSWORD: "password-of-tenant" },
    };
    const loud = await agent(env, "backup", "--json");
    assert.match(failure(loud), /row-level security/);
    const hiding = { ...env, PGDUMP_EXTRA_OPTS: "--enable-row-security" };
    const outcome = await agent(hiding, "backup", "--json");
    assert.equal(outcome.code, 0, failure(outcome));
    assert.match(outcome.stderr, /not counted, .*public\.secret/);
    assert.doesNotMatch(outcome.stderr, /has them whole/);
    const event = outcome.events.find((e) => e.event === "backup");
    assert.deepEqual(event?.event === "backup" && event.manifest.dump?.dataLeftOut, [
      { schema: "public", name: "secret" },
    ]);
    const restored = await agent(hiding, "restore", "--json");
    assert.match(failure(restored), /this backup is partial, without the rows of public\.secret/);
  });

  it("options that leave no table with its rows are refused, whatever they are", async () => {
    const env = await world.environment("ledger");
    for (const text of ["--exclude-table-data=[a-z]*.*", "--exclude-schema=public -N hist*"]) {
      const outcome = await agent({ ...env, PGDUMP_EXTRA_OPTS: text }, "backup", "--json");
      assert.equal(outcome.code, 1);
      assert.match(failure(outcome), /leaves no table with its rows in the backup/);
    }
    for (const command of ["backup", "next", "probe"]) {
      const wrong = { PGDUMP_EXTRA_OPTS: "--no-comments -s", SCHEDULE: "@daily" };
      const outcome = await agent({ ...env, ...wrong }, command, "--json");
      assert.equal(outcome.code, 1, command);
      assert.match(
        failure(outcome),
        /PGDUMP_EXTRA_OPTS has "-s", which leaves out either the definitions or the rows/,
      );
    }
    assert.deepEqual(await world.keys(env["S3_BUCKET"] ?? ""), []);
  });

  it("what pg_dump and pg_dumpall warn of: a notice, the manifest, the list", async () => {
    await world.query(
      "postgres",
      "CREATE ROLE dumper LOGIN PASSWORD 'password-of-dumper' IN ROLE pg_read_all_data",
    );
    await world.database(
      "subscriber",
      "CREATE TABLE t (i int)",
      `CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1 dbname=x' PUBLICATION p
         WITH (connect = false, slot_name = none)`,
    );
    const env = {
      ...(await world.environment("subscriber")),
      POSTGRES_USER: "dumper",
      POSTGRES_PASSWORD: "password-of-dumper",
    };
    const outcome = await agent(env, "backup", "--json");
    assert.equal(outcome.code, 0, failure(outcome));
    const warning = "subscriptions not dumped because current user is not a superuser";
    assert.equal(outcome.stderr.split(warning).length, 2, outcome.stderr);
    const event = outcome.events.find((e) => e.event === "backup");
    assert.deepEqual(event?.event === "backup" && event.manifest.dump?.warnings, [warning]);
    const listed = await agent(env, "list");
    assert.match(listed.stdout, new RegExp(`pg_dump warned: ${warning}`));
  });
});
