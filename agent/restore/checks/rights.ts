import type pg from "pg";
import { Problem } from "../../../common/problem.ts";
import { identifier } from "../../postgres/identifiers.ts";

/** A database that will be made, and whose name it will take. */
export interface WantedDatabase {
  /** Owner of the new database; null: the connection's role. */
  readonly owner: string | null;
  /** Its tablespace; null: the one of template0, for which no right is needed. */
  readonly tablespace: string | null;
  /** The database that will be renamed, and its owner; null: there is none. */
  readonly replaced: { readonly name: string; readonly owner: string } | null;
  /** Connections that the restore has at a time. */
  readonly connections: number;
}

/**
 * Asks the server for each right that making the database and renaming the old one need.
 * @throws Problem that names exactly those that the role lacks, each with the statement that gives it
 */
export async function requireRights(client: pg.Client, wanted: WantedDatabase): Promise<void> {
  const { owner, tablespace, replaced, connections } = wanted;
  // check_can_set_role since PostgreSQL 16, check_is_member_of_role before; object_ownercheck for the rename.
  const { rows } = await client.query<{
    me: string;
    superuser: boolean;
    createdb: boolean;
    member: boolean | null;
    owns: boolean | null;
    space: boolean | null;
    limit: number;
    others: number;
  }>(
    `SELECT current_user AS me, me.rolconnlimit AS limit,
            (SELECT count(*)::int FROM pg_stat_activity WHERE usesysid = me.oid AND pid <> pg_backend_pid()) AS others,
            me.rolsuper AS superuser, me.rolcreatedb AS createdb,
            (SELECT pg_has_role(oid, CASE WHEN current_setting('server_version_num')::int >= 160000
                                     THEN 'SET' ELSE 'MEMBER' END) FROM pg_roles WHERE rolname = $1) AS member,
            (SELECT pg_has_role(oid, 'USAGE') FROM pg_roles WHERE rolname = $2) AS owns,
            (SELECT has_tablespace_privilege(oid, 'CREATE') FROM pg_tablespace WHERE spcname = $3) AS space
     FROM pg_roles me WHERE me.rolname = current_user`,
    [owner, replaced?.owner ?? null, tablespace],
  );
  const [row] = rows;
  if (row === undefined || row.superuser) return;
  const me = identifier(row.me);
  const membership = (role: string, database: string) =>
    `membership in "${role}", which owns ${database}: GRANT ${identifier(role)} TO ${me}`;
  const missing = [
    ...(row.createdb ? [] : [`CREATEDB: ALTER ROLE ${me} CREATEDB`]),
    ...(owner !== null && row.member === false ? [membership(owner, "the new database")] : []),
    ...(replaced !== null &&
    row.owns === false &&
    (row.member !== false || owner !== replaced.owner)
      ? [membership(replaced.owner, `"${replaced.name}"`)]
      : []),
    ...(tablespace !== null && row.space === false
      ? [
          `CREATE on the tablespace "${tablespace}": GRANT CREATE ON TABLESPACE ${identifier(tablespace)} TO ${me}`,
        ]
      : []),
    ...(row.limit >= 0 && row.others + connections > row.limit
      ? [
          `${connections} connections at a time beside ${row.others} others: ALTER ROLE ${me} CONNECTION LIMIT ${row.others + connections}`,
        ]
      : []),
  ];
  if (missing.length === 0) return;
  throw new Problem(
    `the role "${row.me}" lacks what this restore needs: ${missing.join("; ")}. A superuser has it all. Nothing was changed.`,
  );
}
