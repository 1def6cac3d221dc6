import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { statementsOf } from "../../../agent/archive/roleStatements.ts";
import { rolesToMake } from "../../../agent/restore/roles.ts";

const server = (existing: readonly string[] = ["postgres"], powerful = ["postgres"]) => ({
  existing: new Set(existing),
  powerful: new Set(powerful),
});
const planOf = (sql: string, allowed = false, where = server()) => rolesToMake(sql, where, allowed);
const cut = (sql: string) => [...statementsOf(sql)].map((statement) => statement.sql);

describe("a dump of roles is cut into statements", () => {
  const rows: readonly [what: string, sql: string, statements: readonly string[]][] = [
    ["several on a line", "a; b ;c", ["a", "b", "c"]],
    ["a semicolon in quotes", `a 'x;''y'; b "q;""r"; c`, [`a 'x;''y'`, `b "q;""r"`, "c"]],
    ["backslashes in a plain text", String.raw`a 'b\'; c`, [String.raw`a 'b\'`, "c"]],
    ["backslashes in an escaped one", String.raw`a E'b\'; c'; d`, [String.raw`a E'b\'; c'`, "d"]],
    ["dollar quotes", "a $$x; y$$; b $q$ $$; $q$; c", ["a $$x; y$$", "b $q$ $$; $q$", "c"]],
    ["comments", "-- x; y\na /* ; /* ; */ ; */ b; -- c;\nd", ["a /* ; /* ; */ ; */ b", "d"]],
    ["psql's own commands", "\\restrict x;y\na;\n\\! rm;\nb;", ["a", "b"]],
    ["a quote that is never closed", "a; b 'c; d; e", ["a", "b 'c; d; e"]],
    ["a comment that is never closed", "a; b /* c; d", ["a", "b /* c; d"]],
  ];
  for (const [what, sql, statements] of rows) {
    it(what, () => assert.deepEqual(cut(sql), statements));
  }

  it("a hundred thousand of one kind of character are read, and nothing of them is kept", () => {
    for (const text of [";", "'", '"', "(", " ", "$", "/*", "a", "\\"]) {
      const sql = `CREATE ROLE x;${text.repeat(100_000 / text.length)}`;
      assert.deepEqual(planOf(sql).names, ["x"]);
    }
  });
});

describe("of a dump of roles", () => {
  it("only what concerns the missing ones is done", () => {
    const sql = [
      "-- a comment; with a semicolon",
      "\\restrict abc",
      "SET default_transaction_read_only = off;",
      "CREATE ROLE app;",
      "ALTER ROLE app WITH SUPERUSER;",
      'CREATE ROLE "new; one";',
      "ALTER ROLE \"new; one\" WITH NOLOGIN INHERIT CONNECTION LIMIT -1 VALID UNTIL '2030-01-01';",
      "COMMENT ON ROLE \"new; one\" IS E'back\\\\slash ''quote''; end';",
      "ALTER ROLE \"new; one\" SET search_path TO 'a', 'b';",
      "ALTER ROLE \"new; one\" IN DATABASE shop SET app.tenant TO 'x';",
      'GRANT SET ON PARAMETER work_mem TO "new; one" WITH GRANT OPTION;',
      'GRANT app TO "new; one" WITH ADMIN OPTION, INHERIT TRUE GRANTED BY app;',
      "GRANT app TO postgres GRANTED BY app;",
      "CREATE TABLESPACE fast OWNER app LOCATION '/mnt';",
      "\\unrestrict abc",
    ].join("\n");
    assert.deepEqual(planOf(sql, false, server(["app", "postgres"])), {
      names: ["new; one"],
      statements: [
        "ALTER ROLE \"new; one\" WITH NOLOGIN INHERIT CONNECTION LIMIT -1 VALID UNTIL '2030-01-01'",
        "COMMENT ON ROLE \"new; one\" IS E'back\\\\slash ''quote''; end'",
        `ALTER ROLE "new; one" SET "search_path" TO 'a' , 'b'`,
        `ALTER ROLE "new; one" IN DATABASE "shop" SET "app"."tenant" TO 'x'`,
        'GRANT SET ON PARAMETER "work_mem" TO "new; one" WITH GRANT OPTION',
      ],
      memberships: [
        {
          role: "app",
          member: "new; one",
          options: ["ADMIN OPTION", "INHERIT TRUE"],
          grantedBy: "app",
        },
      ],
      privileges: [],
      withheld: false,
      notices: [],
    });
  });

  const PASSWORDS = [
    "CREATE ROLE x; ALTER ROLE x WITH LOGIN PASSWORD 'p';",
    "CREATE ROLE x LOGIN PASSWORD 'p';",
    "create user x with encrypted password 'p';",
    "CREATE ROLE x; ALTER USER x PASSWORD E'p\\'; q' LOGIN;",
    "CREATE/**/ROLE x;ALTER ROLE/* ; */x WITH -- ;\nPASSWORD 'p' LOGIN;",
  ];
  for (const sql of PASSWORDS) {
    it(`a password is taken out and said: ${JSON.stringify(sql)}`, () => {
      const plan = planOf(sql, true);
      assert.deepEqual(plan.names, ["x"]);
      assert.deepEqual(plan.statements, ['ALTER ROLE "x" WITH LOGIN']);
      assert.match(plan.notices.join(), /^a password for the role "x" was taken out/);
    });
  }

  const PRIVILEGES: readonly [sql: string, privilege: string, given: string][] = [
    ["CREATE ROLE x; ALTER ROLE x SUPERUSER;", '"x" SUPERUSER', 'ALTER ROLE "x" WITH SUPERUSER'],
    [
      "CREATE ROLE x createrole createdb;",
      '"x" CREATEROLE, CREATEDB',
      'ALTER ROLE "x" WITH CREATEROLE CREATEDB',
    ],
    [
      "CREATE ROLE x; ALTER ROLE x WITH REPLICATION BYPASSRLS;",
      '"x" REPLICATION, BYPASSRLS',
      'ALTER ROLE "x" WITH REPLICATION BYPASSRLS',
    ],
    [
      "CREATE ROLE x; GRANT ALTER SYSTEM ON PARAMETER archive_command TO x;",
      '"x" ALTER SYSTEM on parameter archive_command',
      'GRANT ALTER SYSTEM ON PARAMETER "archive_command" TO "x"',
    ],
    [
      "CREATE ROLE x; ALTER ROLE x SET session_preload_libraries TO '/tmp/x';",
      '"x" loads code by session_preload_libraries',
      `ALTER ROLE "x" SET "session_preload_libraries" TO '/tmp/x'`,
    ],
  ];
  for (const [sql, privilege, given] of PRIVILEGES) {
    it(`a privilege is named, and given only with consent: ${privilege}`, () => {
      const without = planOf(sql);
      assert.deepEqual([without.privileges, without.withheld], [[privilege], true]);
      assert.deepEqual([without.names, without.statements], [["x"], []]);
      const consented = planOf(sql, true);
      assert.deepEqual([consented.privileges, consented.withheld], [[privilege], false]);
      assert.deepEqual(consented.statements, [given]);
    });
  }

  it("the last word about an attribute counts", () => {
    const { privileges } = planOf("CREATE ROLE x SUPERUSER; ALTER ROLE x NOSUPERUSER;");
    assert.deepEqual(privileges, []);
  });

  it("a membership in the server's masters needs consent, also by way of others", () => {
    const sql =
      "CREATE ROLE x; CREATE ROLE y CREATEROLE; GRANT postgres TO x; GRANT pg_monitor TO x; GRANT y TO app; GRANT x TO postgres;";
    const where = server(["postgres", "app", "pg_monitor"]);
    const pairs = (allowed: boolean) =>
      planOf(sql, allowed, where).memberships.map(({ role, member }) => `${role} to ${member}`);
    assert.deepEqual(pairs(false), ["pg_monitor to x", "y to app", "x to postgres"]);
    assert.deepEqual(planOf(sql, false, where).privileges, [
      '"y" CREATEROLE',
      '"x" membership in "postgres"',
    ]);
    assert.deepEqual(pairs(true), [
      "postgres to x",
      "pg_monitor to x",
      "y to app",
      "x to postgres",
    ]);
    assert.deepEqual(planOf(sql, true, where).privileges, [
      '"y" CREATEROLE',
      '"x" membership in "postgres"',
      '"app" membership in "y"',
      '"postgres" membership in "x"',
    ]);
  });

  it("what is no statement about roles is left out and named", () => {
    const foreign = [
      "COPY (SELECT 1) TO PROGRAM 'cat > pwned'",
      "DO $$ BEGIN PERFORM 1; END $$",
      "ALTER ROLE x RENAME TO y",
      "ALTER ROLE x WITH NOLOGIN, SUPERUSER",
      "ALTER ROLE x SET work_mem TO '1'; DROP ROLE y".split(";")[1]?.trim(),
      "ALTER ROLE x SET work_mem TO (SELECT 1)",
      "ALTER ROLE x SET work_mem FROM CURRENT",
      "ALTER ROLE ALL SET work_mem TO '1'",
      "GRANT x TO y WITH ADMIN OPTION; SELECT 1".split(";")[1]?.trim(),
      "GRANT ALL ON DATABASE d TO x",
      "COMMENT ON ROLE x IS $$ text $$",
      "CREATE ROLE x IN ROLE postgres",
      'CREATE ROLE U&"\\0078"',
    ];
    const plan = planOf(`CREATE ROLE x; ${foreign.join("; ")};`, true);
    assert.deepEqual([plan.statements, plan.memberships, plan.privileges], [[], [], []]);
    const [notice = "", ...more] = plan.notices;
    assert.deepEqual(more, []);
    assert.match(
      notice,
      /^left out, .*"COPY \(SELECT 1\) TO PROGRAM 'cat > pwned'".* and 3 more\.$/,
    );
  });

  it("more than 100,000 are refused, before they take the memory", () => {
    let sql = "";
    for (let i = 0; i < 100_100; i += 1) sql += `CREATE ROLE r${i};`;
    assert.throws(() => planOf(sql), /it has more than 100000 statements about roles/);
  });
});
