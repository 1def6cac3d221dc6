import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  createOptions,
  propertyStatements,
} from "../../../agent/restore/properties/databaseProperties.ts";
import type { DatabaseProperties } from "../../../common/contracts/manifest.ts";

describe("a restored database", () => {
  const like: DatabaseProperties = {
    owner: "shop",
    comment: null,
    encoding: "UTF8",
    collate: "C.UTF-8",
    ctype: "C.UTF-8",
    localeProvider: "icu",
    locale: "de-DE",
    icuRules: null,
    tablespace: "pg_default",
    connectionLimit: 20,
    isTemplate: true,
    allowConnections: true,
    settings: [
      { role: null, name: "search_path", value: '"$user", public' },
      { role: "web", name: "statement_timeout", value: "5s" },
      { role: null, name: "my.name", value: "it's" },
      { role: "web", name: "search_path", value: '""' },
      { role: "job", name: "search_path", value: '"", "Odd, ""x""", public' },
    ],
    acl: [{ grantee: null, privilege: "CONNECT", grantable: false }],
    labels: [{ provider: "anon", label: "MASKED WITH 'x'" }],
  };

  it("is made like the old one", () => {
    assert.equal(
      createOptions(like, { tablespace: "pg_default", major: 17 }),
      `TEMPLATE template0 OWNER "shop" ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8' LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'`,
    );
    assert.match(
      createOptions(like, { tablespace: "fast", major: 17 }),
      / TABLESPACE "pg_default" /,
    );
    assert.equal(
      createOptions(null, { tablespace: "pg_default", major: 17 }),
      "TEMPLATE template0",
    );
  });

  it("gets its settings, privileges, label and limit", () => {
    const statements = propertyStatements("new", like).map(({ sql }) => sql);
    assert.deepEqual(statements, [
      "ALTER DATABASE \"new\" SET \"search_path\" TO '$user', 'public'",
      'ALTER ROLE "web" IN DATABASE "new" SET "statement_timeout" TO \'5s\'',
      'ALTER DATABASE "new" SET "my"."name" TO \'it\'\'s\'',
      'ALTER ROLE "web" IN DATABASE "new" SET "search_path" TO \'\'',
      `ALTER ROLE "job" IN DATABASE "new" SET "search_path" TO '', 'Odd, "x"', 'public'`,
      'REVOKE ALL ON DATABASE "new" FROM PUBLIC',
      'REVOKE ALL ON DATABASE "new" FROM "shop"',
      'GRANT CONNECT ON DATABASE "new" TO PUBLIC',
      `SECURITY LABEL FOR "anon" ON DATABASE "new" IS 'MASKED WITH ''x'''`,
      'ALTER DATABASE "new" CONNECTION LIMIT 20',
      'ALTER DATABASE "new" IS_TEMPLATE true',
    ]);
  });
});
