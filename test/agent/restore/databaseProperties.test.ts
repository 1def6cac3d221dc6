import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  createOptions,
  type DatabaseProperties,
  propertyStatements,
} from "../../../agent/restore/databaseProperties.ts";

describe("a restored database", () => {
  const like: DatabaseProperties = {
    oid: 1,
    owner: "shop",
    comment: null,
    encoding: "UTF8",
    collate: "C.UTF-8",
    ctype: "C.UTF-8",
    provider: "i",
    locale: "de-DE",
    tablespace: "pg_default",
    connectionLimit: 20,
    settings: [
      { role: null, setting: 'search_path="$user", public' },
      { role: "web", setting: "statement_timeout=5s" },
      { role: null, setting: "my.name=it's" },
    ],
    grants: [{ role: null, privilege: "CONNECT", grantable: false }],
  };

  it("is made like the old one", () => {
    assert.equal(
      createOptions(like, { tablespace: "pg_default" }),
      `TEMPLATE template0 OWNER "shop" ENCODING 'UTF8' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8' LOCALE_PROVIDER icu ICU_LOCALE 'de-DE'`,
    );
    assert.match(createOptions(like, { tablespace: "fast" }), / TABLESPACE "pg_default" /);
    assert.equal(createOptions(null, { tablespace: "pg_default" }), "TEMPLATE template0");
  });

  it("gets its settings, privileges and limit", () => {
    assert.deepEqual(propertyStatements("new", like), [
      'ALTER DATABASE "new" SET "search_path" TO "$user", public',
      'ALTER ROLE "web" IN DATABASE "new" SET "statement_timeout" TO \'5s\'',
      'ALTER DATABASE "new" SET "my"."name" TO \'it\'\'s\'',
      'REVOKE ALL ON DATABASE "new" FROM PUBLIC',
      'GRANT CONNECT ON DATABASE "new" TO PUBLIC',
      'ALTER DATABASE "new" CONNECTION LIMIT 20',
    ]);
  });
});
