import assert from "node:assert/strict";
import { it } from "node:test";
import { parseRequirements } from "../../../agent/restore/checks/requirements.ts";
import { rolesToMake, splitStatements } from "../../../agent/restore/roles.ts";

it("what an archive needs is read from its definitions alone", () => {
  const text = [
    "--",
    "-- Name: postgis; Type: EXTENSION; Schema: -; Owner: -",
    "--",
    'CREATE EXTENSION IF NOT EXISTS "postgis" WITH SCHEMA public;',
    "-- Name: TABLE t; Type: ACL; Schema: public; Owner: My owner",
    'GRANT SELECT ON TABLE public."x TO y" TO "a ""b""" WITH GRANT OPTION;',
    "GRANT SELECT ON TABLE public.t TO PUBLIC;",
    "-- Name: f(); Type: FUNCTION; Schema: public; Owner: bob",
    "GRANT nothing TO nobody;",
    "-- Name: DEFAULT PRIVILEGES FOR TABLES; Type: DEFAULT ACL; Schema: public; Owner: bob",
    "ALTER DEFAULT PRIVILEGES FOR ROLE bob IN SCHEMA public GRANT SELECT ON TABLES TO carl;",
    "-- Name: t; Type: TABLE; Schema: public; Owner: dora; Tablespace: fast",
  ].join("\n");
  const needs = parseRequirements(text);
  assert.deepEqual([...needs.extensions], ["postgis"]);
  assert.deepEqual([...needs.roles], ["My owner", 'a "b"', "bob", "carl", "dora"]);
});

it("of a dump of roles only what concerns the missing ones is done", () => {
  const sql = [
    "-- a comment; with a semicolon",
    "\\restrict abc",
    "SET default_transaction_read_only = off;",
    "CREATE ROLE app;",
    "ALTER ROLE app WITH SUPERUSER;",
    'CREATE ROLE "new; one";',
    'ALTER ROLE "new; one" WITH NOLOGIN;',
    "COMMENT ON ROLE \"new; one\" IS E'back\\\\slash ''quote''; end';",
    'GRANT app TO "new; one" GRANTED BY app;',
    "GRANT app TO postgres GRANTED BY app;",
    "CREATE TABLESPACE fast OWNER app LOCATION '/mnt';",
    "\\unrestrict abc",
  ].join("\n");
  assert.deepEqual(rolesToMake(sql, new Set(["app", "postgres"])), {
    names: ["new; one"],
    statements: [
      'ALTER ROLE "new; one" WITH NOLOGIN',
      "COMMENT ON ROLE \"new; one\" IS E'back\\\\slash ''quote''; end'",
      'GRANT app TO "new; one" GRANTED BY app',
    ],
  });
  assert.deepEqual(splitStatements("a 'b\\';c;"), ["a 'b\\'", "c"]);
});
