import type pg from "pg";
import type { DatabaseProperties } from "../../common/contracts/manifest.ts";

/** A database of this server. */
export interface ExistingDatabase extends DatabaseProperties {
  readonly labels: NonNullable<DatabaseProperties["labels"]>;
  readonly oid: number;
  readonly comment: string | null;
}

/** `pg_database.datlocprovider`. */
const PROVIDERS: Readonly<Record<string, string>> = { c: "libc", i: "icu", b: "builtin" };

/** Reads what belongs to a database itself; null when no database has exactly this name. */
export async function readProperties(
  client: pg.Client,
  database: string,
): Promise<ExistingDatabase | null> {
  // As JSON, because the locale's columns have changed their names from one major to the next.
  const { rows } = await client.query<{ data: Record<string, string | null> }>(
    `SELECT to_jsonb(d) - 'datacl' || jsonb_build_object(
       'oid', d.oid::int8::text, 'owner', pg_get_userbyid(d.datdba), 'encoding', pg_encoding_to_char(d.encoding),
       'tablespace', t.spcname, 'comment', shobj_description(d.oid, 'pg_database'),
       'limit', d.datconnlimit::text, 'template', d.datistemplate::text, 'connectable', d.datallowconn::text,
       'hasAcl', (d.datacl IS NOT NULL)::text) AS data
     FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = $1`,
    [database],
  );
  const data = rows[0]?.data;
  if (data === undefined) return null;
  const provider = data["datlocprovider"] ?? "c";
  return {
    oid: Number(data["oid"]),
    owner: data["owner"] ?? "",
    encoding: data["encoding"] ?? "",
    localeProvider: PROVIDERS[provider] ?? provider,
    collate: data["datcollate"] ?? "",
    ctype: data["datctype"] ?? "",
    locale: data["datlocale"] ?? data["daticulocale"] ?? null,
    icuRules: data["daticurules"] ?? null,
    tablespace: data["tablespace"] ?? "pg_default",
    connectionLimit: Number(data["limit"]),
    isTemplate: data["template"] === "true",
    allowConnections: data["connectable"] !== "false",
    acl: data["hasAcl"] === "true" ? await readAcl(client, database) : null,
    settings: await readSettings(client, database),
    comment: data["comment"] ?? null,
    labels: await readLabels(client, Number(data["oid"])),
  };
}

async function readLabels(client: pg.Client, oid: number) {
  const { rows } = await client.query<{ provider: string; label: string }>(
    `SELECT provider, label FROM pg_shseclabel
     WHERE classoid = 'pg_database'::regclass AND objoid = $1 ORDER BY provider`,
    [oid],
  );
  return rows;
}

async function readSettings(client: pg.Client, database: string) {
  const { rows } = await client.query<{ role: string | null; name: string; value: string }>(
    `SELECT r.rolname AS role, split_part(s.setting, '=', 1) AS name,
            substr(s.setting, strpos(s.setting, '=') + 1) AS value
     FROM (SELECT setdatabase, setrole, unnest(setconfig) AS setting FROM pg_db_role_setting) s
     JOIN pg_database d ON d.oid = s.setdatabase
     LEFT JOIN pg_roles r ON r.oid = s.setrole WHERE d.datname = $1 ORDER BY 1 NULLS FIRST, 2`,
    [database],
  );
  return rows;
}

async function readAcl(client: pg.Client, database: string) {
  const { rows } = await client.query<{
    grantee: string | null;
    privilege: string;
    grantable: boolean;
  }>(
    `SELECT r.rolname AS grantee, a.privilege_type AS privilege, a.is_grantable AS grantable
     FROM pg_database d CROSS JOIN LATERAL
       aclexplode(d.datacl) WITH ORDINALITY AS a (grantor, grantee, privilege_type, is_grantable, place)
     LEFT JOIN pg_roles r ON r.oid = a.grantee
     WHERE d.datname = $1 AND (a.grantee = 0 OR r.oid IS NOT NULL) ORDER BY a.place`,
    [database],
  );
  return rows;
}
