import type pg from "pg";
import { Problem } from "../../common/problem.ts";

/** What a server must have for an archive to be restored into it. */
export interface Requirements {
  readonly roles: ReadonlySet<string>;
  readonly extensions: ReadonlySet<string>;
}

/**
 * Words for `pg_restore` whose answer `parseRequirements` reads. Its comments, by _printTocEntry of PostgreSQL 17's
 * pg_backup_archiver.c, name each owner in full.
 */
export const REQUIREMENTS_WORDS = ["--schema-only", "--file=-"];

const IDENTIFIER = String.raw`"(?:[^"]|"")+"|[^\s";]+`;
const ENTRY =
  /^-- (?:Data for )?Name: (.*); Type: ([A-Z ]+); Schema: .*; Owner: (.*?)(?:; Tablespace: .*)?$/;
const GRANT = new RegExp(
  `^(?:ALTER DEFAULT PRIVILEGES .*|)GRANT .* TO (${IDENTIFIER})(?: WITH GRANT OPTION)?;$`,
);

/** Reads the SQL text that `pg_restore` makes of an archive's definitions. */
export function parseRequirements(sql: string): Requirements {
  const roles = new Set<string>();
  const extensions = new Set<string>();
  let type = "";
  for (const line of sql.split("\n")) {
    const entry = ENTRY.exec(line);
    if (entry !== null) {
      const [, name = "", kind = "", owner = ""] = entry;
      type = kind;
      if (kind === "EXTENSION") extensions.add(name);
      if (owner !== "" && owner !== "-") roles.add(owner);
    } else if (type === "ACL" || type === "DEFAULT ACL") {
      const grantee = GRANT.exec(line)?.[1];
      if (grantee !== undefined && grantee !== "PUBLIC") roles.add(unquoted(grantee));
    }
  }
  return { roles, extensions };
}

/**
 * @param name as SQL writes it
 * @returns the name itself
 */
export function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

/** Names of the roles that the server has. */
export async function readRoles(client: pg.Client): Promise<Set<string>> {
  const { rows } = await client.query<{ rolname: string }>("SELECT rolname FROM pg_roles");
  return new Set(rows.map(({ rolname }) => rolname));
}

/**
 * @throws Problem that names the roles that are missing
 */
export async function requireRoles(
  client: pg.Client,
  { roles }: Requirements,
  {
    planned,
    inBackup,
  }: {
    /** Roles that will have been made before the restore. */
    readonly planned: readonly string[];
    /** Whether the backup has roles that could be made. */
    readonly inBackup: boolean;
  },
): Promise<void> {
  const existing = await readRoles(client);
  // A comment of pg_restore has a blank where a name has the end of a line.
  const known = new Set([...existing, ...planned].map((name) => name.replace(/[\r\n]/g, " ")));
  const missing = [...roles].filter((role) => !known.has(role)).sort();
  if (missing.length === 0) return;
  const remedy = inBackup
    ? "Restore with --globals, which makes them without passwords, or create them first."
    : "Create them first: CREATE ROLE.";
  throw new Problem(
    `the backup needs roles that this server does not have: ${quoted(missing)}. ${remedy} Nothing was changed.`,
  );
}

/** @throws Problem that names the extensions that are not installed on the server */
export async function requireExtensions(
  client: pg.Client,
  { extensions }: Requirements,
): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT name FROM unnest($1::text[]) AS name WHERE name NOT IN (SELECT name FROM pg_available_extensions) ORDER BY name",
    [[...extensions]],
  );
  if (rows.length === 0) return;
  throw new Problem(
    `the backup needs extensions that this server cannot create: ${quoted(rows.map(({ name }) => name))}. Use the database image that the backup was made with, or install their packages on the server. Nothing was changed.`,
  );
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}
