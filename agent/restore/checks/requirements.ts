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

/** Names as a sentence has them: `"a", "b"`. */
export function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}
