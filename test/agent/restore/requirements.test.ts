import assert from "node:assert/strict";
import { it } from "node:test";
import { parseArchive } from "../../../agent/archive/contents.ts";
import { requirementsOf } from "../../../agent/restore/checks/requirements.ts";

/** One entry, as `pg_restore --verbose --file=-` writes it. */
const entry = (id: number, header: string, ...statements: string[]) =>
  [
    "",
    "--",
    `-- TOC entry ${id} (class 0 OID ${id})`,
    `-- ${header}`,
    "-- Data Pos: 0",
    "--",
    "",
    ...statements,
    "",
  ].join("\n");

/** What an archive of these entries needs. */
function needsOf(...entries: [header: string, ...statements: string[]][]) {
  const list = entries.map((_, id) => `${id + 1}; 0 0 SOMETHING`).join("\n");
  const sql = entries.map((parts, id) => entry(id + 1, ...parts)).join("\n");
  const { roles, extensions } = requirementsOf(parseArchive(list, sql));
  return { roles: [...roles].sort(), extensions: [...extensions] };
}

it("what an archive needs is read from its definitions alone", () => {
  const needs = needsOf(
    [
      "Name: postgis; Type: EXTENSION; Schema: -; Owner: -",
      'CREATE EXTENSION IF NOT EXISTS "postgis" WITH SCHEMA public;',
    ],
    [
      "Name: TABLE t; Type: ACL; Schema: public; Owner: My owner",
      'GRANT SELECT ON TABLE public."x TO y" TO "a ""b""" WITH GRANT OPTION;',
      "GRANT SELECT ON TABLE public.t TO PUBLIC;",
      "REVOKE ALL ON TABLE public.t FROM gone;",
      "SET SESSION AUTHORIZATION grantor;",
      "GRANT SELECT(a),UPDATE(b) ON TABLE public.t TO columns;",
    ],
    ["Name: f(); Type: FUNCTION; Schema: public; Owner: bob", "GRANT nothing TO nobody;"],
    [
      "Name: DEFAULT PRIVILEGES FOR TABLES; Type: DEFAULT ACL; Schema: public; Owner: bob",
      "ALTER DEFAULT PRIVILEGES FOR ROLE dan IN SCHEMA public GRANT SELECT ON TABLES TO carl;",
      "ALTER DEFAULT PRIVILEGES FOR ROLE dan IN SCHEMA public REVOKE ALL ON TABLES FROM eve;",
    ],
    ["Name: t; Type: TABLE; Schema: public; Owner: dora; Tablespace: fast"],
  );
  assert.deepEqual(needs.extensions, ["postgis"]);
  assert.deepEqual(needs.roles, [
    "My owner",
    'a "b"',
    "bob",
    "carl",
    "columns",
    "dan",
    "dora",
    "eve",
    "gone",
    "grantor",
  ]);
});

it("policies and user mappings name roles too", () => {
  const policy = (statement: string) =>
    needsOf(["Name: t p; Type: POLICY; Schema: public; Owner: ", statement]).roles;
  for (const [statement, roles] of [
    ["CREATE POLICY p ON public.d TO tenant_reader USING (true);", ["tenant_reader"]],
    ['CREATE POLICY "a TO b" ON "odd x"."d TO e" TO "r, 1", r2;', ["r, 1", "r2"]],
    ["CREATE POLICY p ON public.d AS RESTRICTIVE FOR SELECT TO r WITH CHECK (x);", ["r"]],
    ["CREATE POLICY p ON public.d USING ((a = ' TO nobody USING '));", []],
    ["CREATE POLICY p ON public.d TO CURRENT_USER USING (true);", []],
  ] as const) {
    assert.deepEqual(policy(statement), roles, statement);
  }
  const mapping = needsOf([
    "Name: USER MAPPING ops SERVER far; Type: USER MAPPING; Schema: -; Owner: x",
    "CREATE USER MAPPING FOR \"o ps\" SERVER far OPTIONS (\n    password 'a FOR nobody SERVER'\n);",
  ]);
  assert.deepEqual(mapping.roles, ["o ps", "x"]);
});

it("a function whose text looks like an entry's header stays whole", () => {
  const list = "1; 0 0 FUNCTION\n2; 0 0 TABLE";
  const trap = entry(9, "Name: x; Type: TABLE; Schema: public; Owner: nobody", "no end");
  const again = entry(1, "Name: x; Type: TABLE; Schema: public; Owner: nobody", "no end");
  const sql = [
    entry(1, "Name: f(); Type: FUNCTION; Schema: public; Owner: bob", `AS $$${trap}${again}$$;`),
    "SET default_tablespace = 'fast';\n",
    entry(
      2,
      "Name: t; Type: TABLE; Schema: public; Owner: bob; Tablespace: fast",
      "CREATE TABLE t ();",
    ),
  ].join("\n");
  const { items } = parseArchive(list, sql);
  assert.equal(items.length, 2);
  assert.match(items[0]?.sql ?? "", /^AS \$\$[\s\S]*\$\$;$/);
  assert.deepEqual(
    items.map(({ settings }) => settings),
    ["", "SET default_tablespace = 'fast';"],
  );
});
