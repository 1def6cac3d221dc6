import assert from "node:assert/strict";
import { test } from "node:test";
import type { ArchiveItem } from "../../../agent/archive/contents.ts";
import { difference } from "../../../agent/restore/properties/definitions.ts";

const item = (type: string, name: string, owner: string, sql = ""): ArchiveItem => ({
  ...{ id: 1, oid: 1, schema: "public", needs: [], settings: "" },
  ...{ type, name, owner, sql },
});
const grant = (to: string) => item("ACL", "TABLE t", "app", `GRANT SELECT ON TABLE t TO ${to};`);
const declared = [
  item("TABLE", "t", "app"),
  item("VIEW", "v", "app"),
  grant("web"),
  item("TABLE DATA", "t", ""),
  item("ACL", "SCHEMA public", "postgres", "REVOKE USAGE ON SCHEMA public FROM PUBLIC;"),
];
const same = { withOwners: true, sameMajor: true };

test("what is missing, has another owner or other grants is named; rows are not looked at", () => {
  assert.deepEqual(difference(declared, declared, same), { compared: 4, differences: [] });
  const found = [item("TABLE", "t", "other"), grant("PUBLIC"), item("ACL", "VIEW v", "app", "x")];
  assert.deepEqual(difference(declared, found, same).differences, [
    'the owner of TABLE public.t: "other" instead of "app"',
    "VIEW public.v: it is missing in the restored database",
    "ACL public.TABLE t: its grants differ from those of the backup",
    "ACL public.SCHEMA public: it is missing in the restored database",
    "ACL public.VIEW v: it has grants that are not in the backup",
  ]);
});

test("owners that were left out, and what each major writes in its own way, are no difference", () => {
  const found = [item("TABLE", "t", "me"), item("VIEW", "v", "me")];
  const without = { withOwners: false, sameMajor: true };
  assert.deepEqual(difference(declared, found, without).differences, []);
  const newer = [item("TABLE", "t", "app"), item("VIEW", "v", "app"), grant("web WITH SET")];
  assert.deepEqual(
    difference(declared, newer, { withOwners: true, sameMajor: false }).differences,
    [],
  );
});

test("quotes that no name needs, and the schema that every database has, are no difference", () => {
  const quoted = [
    item("TABLE", "t", "app"),
    item("VIEW", "v", "app"),
    item("ACL", 'TABLE "t"', "app", 'GRANT SELECT ON TABLE "t" TO "web";'),
    item("ACL", 'SCHEMA "public"', "postgres", 'REVOKE USAGE ON SCHEMA "public" FROM PUBLIC;'),
  ];
  assert.deepEqual(difference(quoted, declared, same).differences, []);
  const usual = [
    item("SCHEMA", "public", "pg_database_owner", "CREATE SCHEMA public;"),
    item("COMMENT", 'SCHEMA "public"', "", "COMMENT ON SCHEMA public IS 'standard public schema';"),
  ];
  assert.deepEqual(difference([...declared, ...usual], declared, same).differences, []);
  const own = [
    item("COMMENT", "SCHEMA public", "", "COMMENT ON SCHEMA public IS 'of the shop';"),
    item("COMMENT", 'TABLE "T"', "", `COMMENT ON TABLE "T" IS 'x';`),
  ];
  assert.deepEqual(difference(own, [item("COMMENT", "TABLE t", "", "")], same).differences, [
    "COMMENT public.SCHEMA public: it is missing in the restored database",
    'COMMENT public.TABLE "T": it is missing in the restored database',
  ]);
  const taken = [item("SCHEMA", "public", "app", "CREATE SCHEMA public;")];
  const other = [item("SCHEMA", "public", "postgres", "")];
  assert.deepEqual(difference(taken, other, same).differences, [
    'the owner of SCHEMA public.public: "postgres" instead of "app"',
  ]);
});
