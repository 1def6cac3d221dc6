import assert from "node:assert/strict";
import { test } from "node:test";
import { parseGiven } from "../../../../cli/restore/pull/givenServer.ts";
import { requireEqualRows } from "../../../../cli/restore/pull/rowCounts.ts";
import { partWords } from "../../../../cli/restore/pull/tables.ts";

const table = (schema: string, name: string) => ({ schema, name, rows: 1, exact: true });
const manifest = {
  tables: [table("public", "orders"), table("public", "users"), table("tax", "rates")],
};
const entry = { stamp: "2026-11-24T03:15:02" };

test("--table leaves out every other table; --schema-only the rows", () => {
  assert.deepEqual(partWords(manifest, entry, {}), []);
  assert.deepEqual(partWords(manifest, entry, { table: ["tax.*", "orders"], schemaOnly: true }), [
    ...["--schema-only", "--exclude-table", "public.users"],
  ]);
  assert.throws(() => partWords(manifest, entry, { table: ["order"] }), {
    message:
      "--table order: the backup has no such table. It has public.orders, public.users, tax.rates.",
  });
  assert.throws(() => partWords(null, entry, { table: ["orders"] }), /has no manifest that lists/);
});

test("--to: an address, whose password goes to psql by its environment alone", () => {
  const given = parseGiven("postgres://me:s%40cret@db.local:5433/shop%20dev?sslmode=require");
  assert.equal(given.maintenance.href, "postgres://me@db.local:5433/postgres?sslmode=require");
  assert.deepEqual(
    [given.database, given.host, given.env],
    ["shop dev", "db.local", { PGPASSWORD: "s@cret" }],
  );
  assert.deepEqual(parseGiven("postgresql:///shop?host=/run/pg").host, "/run/pg");
  for (const text of ["shop_dev", "postgres://me:secret@localhost/", "https://me:secret@x/y"]) {
    assert.throws(() => parseGiven(text), {
      message: "--to is no address of a database. Write postgres://USER@HOST:5432/DATABASE.",
    });
  }
});

test("what arrived is compared table by table", () => {
  requireEqualRows(["public.a|1", "public.b|2"], ["public.b|2", "public.a|1"]);
  assert.throws(() => requireEqualRows(["public.a|1", "public.b|2"], ["public.a|1"]), {
    message: "what arrived is not what was sent: public.b had 2 rows.",
  });
  assert.throws(
    () => requireEqualRows(["public.a|1"], ["public.a|1", "public.b|2"]),
    /more tables/,
  );
});
