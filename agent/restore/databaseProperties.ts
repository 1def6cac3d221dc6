import type pg from "pg";
import { compactStamp, identifier, literal, siblingName } from "../postgres/identifiers.ts";
import type { NotRestored } from "./notRestored.ts";

/** List settings whose stored value is already quoted; quoting it again would make one element of it. */
const QUOTED_LISTS = new Set([
  "local_preload_libraries",
  "search_path",
  "session_preload_libraries",
  "shared_preload_libraries",
  "temp_tablespaces",
  "unix_socket_directories",
]);

/** What a database has besides its content, and what no dump carries. */
export interface DatabaseProperties {
  readonly oid: number;
  readonly owner: string;
  readonly comment: string | null;
  readonly encoding: string;
  readonly collate: string;
  readonly ctype: string;
  /** `c` libc, `i` ICU, `b` built in; absent before PostgreSQL 15. */
  readonly provider?: string;
  readonly locale?: string;
  readonly icuRules?: string;
  readonly tablespace: string;
  readonly connectionLimit: number;
  /** `ALTER DATABASE ... SET`, also per role. */
  readonly settings: readonly { readonly role: string | null; readonly setting: string }[];
  /** Null: the default privileges. */
  readonly grants:
    | readonly {
        readonly role: string | null;
        readonly privilege: string;
        readonly grantable: boolean;
      }[]
    | null;
}

/**
 * The name, free on this server, under which a database that is replaced stays.
 * @param now two runs may fall into one second; the later one then names the next free one
 */
export async function freeName(
  client: pg.Client,
  database: string,
  word: "before" | "undone",
  now: Date,
): Promise<string> {
  const { rows } = await client.query<{ datname: string }>("SELECT datname FROM pg_database");
  const taken = new Set(rows.map(({ datname }) => datname));
  for (let time = now.getTime(); ; time += 1000) {
    const name = siblingName(database, word, compactStamp(new Date(time)));
    if (!taken.has(name)) return name;
  }
}

/** Reads a database's properties; null when no database has exactly this name. */
export async function readProperties(
  client: pg.Client,
  database: string,
): Promise<DatabaseProperties | null> {
  // As JSON, because the locale's columns have changed their names from one major to the next.
  const { rows } = await client.query<{ data: Record<string, string | null> }>(
    `SELECT to_jsonb(d) - 'datacl' || jsonb_build_object(
       'oid', d.oid::int8::text, 'owner', pg_get_userbyid(d.datdba), 'encoding', pg_encoding_to_char(d.encoding),
       'tablespace', t.spcname, 'comment', shobj_description(d.oid, 'pg_database'),
       'limit', d.datconnlimit::text, 'hasAcl', (d.datacl IS NOT NULL)::text) AS data
     FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace WHERE d.datname = $1`,
    [database],
  );
  const data = rows[0]?.data;
  if (data === undefined) return null;
  const locale = data["datlocale"] ?? data["daticulocale"];
  return {
    oid: Number(data["oid"]),
    owner: data["owner"] ?? "",
    comment: data["comment"] ?? null,
    encoding: data["encoding"] ?? "",
    collate: data["datcollate"] ?? "",
    ctype: data["datctype"] ?? "",
    ...(data["datlocprovider"] != null && { provider: data["datlocprovider"] }),
    ...(locale != null && { locale }),
    ...(data["daticurules"] != null && { icuRules: data["daticurules"] }),
    tablespace: data["tablespace"] ?? "pg_default",
    connectionLimit: Number(data["limit"]),
    settings: await readSettings(client, database),
    grants: data["hasAcl"] === "true" ? await readGrants(client, database) : null,
  };
}

/** Statements that give a restored database the settings, privileges and limit of the one that it replaces. */
export function propertyStatements(name: string, model: DatabaseProperties): string[] {
  const database = identifier(name);
  const statements = model.settings.map(({ role, setting }) => {
    const split = setting.indexOf("=");
    const key = setting.slice(0, split);
    const raw = setting.slice(split + 1);
    // An empty list is stored as an empty text, which only quotes can express.
    const value = QUOTED_LISTS.has(key) && raw !== "" ? raw : literal(raw);
    const subject =
      role === null
        ? `ALTER DATABASE ${database}`
        : `ALTER ROLE ${identifier(role)} IN DATABASE ${database}`;
    const parameter = key.split(".").map(identifier).join(".");
    return `${subject} SET ${parameter} TO ${value}`;
  });
  if (model.grants !== null) {
    statements.push(`REVOKE ALL ON DATABASE ${database} FROM PUBLIC`);
    for (const { role, privilege, grantable } of model.grants) {
      const grantee = role === null ? "PUBLIC" : identifier(role);
      const option = grantable ? " WITH GRANT OPTION" : "";
      statements.push(`GRANT ${privilege} ON DATABASE ${database} TO ${grantee}${option}`);
    }
  }
  if (model.connectionLimit !== -1) {
    statements.push(`ALTER DATABASE ${database} CONNECTION LIMIT ${model.connectionLimit}`);
  }
  return statements;
}

/** A setting that the role may not copy is a warning, not a failure: the data is whole, and the old database has it. */
export async function copyProperties(
  maintenance: pg.Client,
  name: string,
  model: DatabaseProperties,
  notRestored: NotRestored,
): Promise<void> {
  for (const statement of propertyStatements(name, model)) {
    try {
      await maintenance.query(statement);
    } catch (error) {
      notRestored.add(`${statement} (${error instanceof Error ? error.message : String(error)})`);
    }
  }
}

/**
 * Options of CREATE DATABASE for a database like the given one.
 * @param template0 a value that a new database has anyway is not written: naming even the default tablespace takes a right
 */
export function createOptions(
  model: DatabaseProperties | null,
  template0: Pick<DatabaseProperties, "tablespace">,
): string {
  // template0 alone is free of local additions and takes any locale.
  const words = ["TEMPLATE template0"];
  if (model === null) return words.join(" ");
  words.push(
    `OWNER ${identifier(model.owner)}`,
    `ENCODING ${literal(model.encoding)}`,
    `LC_COLLATE ${literal(model.collate)}`,
    `LC_CTYPE ${literal(model.ctype)}`,
  );
  if (model.tablespace !== template0.tablespace) {
    words.push(`TABLESPACE ${identifier(model.tablespace)}`);
  }
  if (model.provider === "i") {
    words.push(`LOCALE_PROVIDER icu ICU_LOCALE ${literal(model.locale ?? "")}`);
    if (model.icuRules !== undefined) words.push(`ICU_RULES ${literal(model.icuRules)}`);
  } else if (model.provider === "b") {
    words.push(`LOCALE_PROVIDER builtin BUILTIN_LOCALE ${literal(model.locale ?? "")}`);
  } else if (model.provider === "c") {
    words.push("LOCALE_PROVIDER libc");
  }
  return words.join(" ");
}

async function readSettings(client: pg.Client, database: string) {
  const { rows } = await client.query<{ role: string | null; setting: string }>(
    `SELECT r.rolname AS role, unnest(s.setconfig) AS setting
     FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
     LEFT JOIN pg_roles r ON r.oid = s.setrole WHERE d.datname = $1 ORDER BY 1 NULLS FIRST, 2`,
    [database],
  );
  return rows;
}

async function readGrants(client: pg.Client, database: string) {
  const { rows } = await client.query<{
    role: string | null;
    privilege: string;
    grantable: boolean;
  }>(
    `SELECT r.rolname AS role, a.privilege_type AS privilege, a.is_grantable AS grantable
     FROM pg_database d CROSS JOIN LATERAL aclexplode(d.datacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
     WHERE d.datname = $1 AND (a.grantee = 0 OR r.oid IS NOT NULL) ORDER BY 1 NULLS FIRST, 2`,
    [database],
  );
  return rows;
}
