import type pg from "pg";
import type { Manifest } from "../../common/contracts/manifest.ts";

/** What a database needs of the server that it is to be restored on. */
export interface ServerNeeds {
  readonly extensions: NonNullable<Manifest["extensions"]>;
  /** Names of the roles, without those that every server has (`pg_...`). */
  readonly roles: readonly string[];
  /** The superuser that the server was made with. */
  readonly bootstrapRole: string;
}

/** Oid of the superuser that `initdb` makes: BOOTSTRAP_SUPERUSERID of PostgreSQL's pg_authid.dat. */
const BOOTSTRAP = 10;
/** What is made later has a greater oid: FirstNormalObjectId of PostgreSQL's transam.h. */
const FIRST_NORMAL_OID = 16_384;

/** Catalogs whose entries have an owner and privileges. */
const OWNED: readonly (readonly [catalog: string, owner: string, acl?: string])[] = [
  ["pg_class", "relowner", "relacl"],
  ["pg_proc", "proowner", "proacl"],
  ["pg_namespace", "nspowner", "nspacl"],
  ["pg_type", "typowner", "typacl"],
  ["pg_largeobject_metadata", "lomowner", "lomacl"],
  ["pg_foreign_server", "srvowner", "srvacl"],
  ["pg_foreign_data_wrapper", "fdwowner", "fdwacl"],
  ["pg_language", "lanowner", "lanacl"],
  ["pg_default_acl", "defaclrole", "defaclacl"],
  ["pg_operator", "oprowner"],
  ["pg_opclass", "opcowner"],
  ["pg_opfamily", "opfowner"],
  ["pg_collation", "collowner"],
  ["pg_conversion", "conowner"],
  ["pg_ts_dict", "dictowner"],
  ["pg_ts_config", "cfgowner"],
  ["pg_statistic_ext", "stxowner"],
  ["pg_publication", "pubowner"],
  ["pg_event_trigger", "evtowner"],
];

/** Made by an extension: then its owner is not in a dump. */
const OF_EXTENSION = (classid: string, oid: string) =>
  `EXISTS (SELECT FROM pg_depend e WHERE e.classid = ${classid} AND e.objid = ${oid} AND e.deptype = 'e')`;

/**
 * Roles that the objects of the connection's database name, by the server's own record of it. That leaves out the bootstrap
 * superuser (IsPinnedObject in PostgreSQL's catalog.c), who is looked for in each catalog.
 */
const ROLES_SQL = `
  WITH here AS (SELECT oid, datdba, datacl FROM pg_database WHERE datname = current_database()),
  named AS (
    SELECT s.refobjid AS role FROM pg_shdepend s, here
    WHERE s.refclassid = 'pg_authid'::regclass AND s.deptype IN ('o', 'a', 'r')
      AND (s.dbid = here.oid
           OR s.classid = 'pg_database'::regclass AND s.objid = here.oid
           OR s.classid = 'pg_subscription'::regclass
              AND s.objid IN (SELECT oid FROM pg_subscription WHERE subdbid = here.oid))
      AND NOT (s.deptype = 'o' AND (s.classid = 'pg_extension'::regclass OR ${OF_EXTENSION("s.classid", "s.objid")}))
    UNION SELECT setrole FROM pg_db_role_setting, here WHERE setdatabase = here.oid
    UNION SELECT datdba FROM here
    UNION SELECT a.grantee FROM here, aclexplode(here.datacl) a
    UNION SELECT umuser FROM pg_user_mappings
    UNION SELECT unnest(polroles) FROM pg_policy
    ${OWNED.flatMap(([catalog, owner, acl]) => [
      `UNION SELECT ${BOOTSTRAP} WHERE EXISTS (SELECT FROM ${catalog} c WHERE c.${owner} = ${BOOTSTRAP}
         AND c.oid >= ${FIRST_NORMAL_OID} AND NOT ${OF_EXTENSION(`'${catalog}'::regclass`, "c.oid")})`,
      ...(acl === undefined
        ? []
        : [
            `UNION SELECT ${BOOTSTRAP} WHERE EXISTS (SELECT FROM ${catalog} c, aclexplode(c.${acl}) a
               WHERE a.grantee = ${BOOTSTRAP} AND c.${owner} <> ${BOOTSTRAP})`,
          ]),
    ]).join("\n    ")}
  )
  SELECT DISTINCT r.rolname AS name FROM named n JOIN pg_roles r ON r.oid = n.role
  WHERE r.rolname !~ '^pg_' ORDER BY 1`;

/** Reads what the connection's database needs. */
export async function readServerNeeds(client: pg.Client): Promise<ServerNeeds> {
  const extensions = await client.query<ServerNeeds["extensions"][number]>(
    `SELECT e.extname AS name, e.extversion AS version, n.nspname AS schema
     FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace ORDER BY 1`,
  );
  const roles = await client.query<{ name: string }>(ROLES_SQL);
  const bootstrap = await client.query<{ name: string }>(
    `SELECT pg_get_userbyid(${BOOTSTRAP}) AS name`,
  );
  return {
    extensions: extensions.rows,
    roles: roles.rows.map(({ name }) => name),
    bootstrapRole: bootstrap.rows[0]?.name ?? "",
  };
}
