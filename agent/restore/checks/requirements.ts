import type { ArchiveContents, ArchiveItem } from "../../archive/contents.ts";

/** What a server must have for an archive to be restored into it. */
export interface Requirements {
  readonly roles: ReadonlySet<string>;
  readonly extensions: ReadonlySet<string>;
  /** Tablespaces of its tables and indexes, besides the database's own. */
  readonly tablespaces: ReadonlySet<string>;
}

const ROLE = String.raw`"(?:[^"]|"")+"|[^\s",;]+`;
const ROLES = `(?:${ROLE})(?:, (?:${ROLE}))*`;
/**
 * Where pg_dump 17 names roles besides owners: dumpACL and dumpDefaultACL by way of dumputils.c, dumpPolicy, dumpUserMappings.
 * A name in quotes, or in a text, may hold any of these words; each form is looked for where it stands alone.
 */
const FORMS: Readonly<Record<string, readonly RegExp[]>> = {
  ACL: [grant(), /^SET SESSION AUTHORIZATION (.+);$/gm],
  "DEFAULT ACL": [
    grant(),
    new RegExp(`^ALTER DEFAULT PRIVILEGES FOR ROLE (${ROLE}) `, "gm"),
    /^SET SESSION AUTHORIZATION (.+);$/gm,
  ],
  POLICY: [
    new RegExp(
      `^CREATE POLICY (?:"(?:[^"]|"")+"|\\S+) ON (?:"(?:[^"]|"")+"|[^\\s".]+)\\.(?:"(?:[^"]|"")+"|[^\\s".]+)(?: AS RESTRICTIVE)?(?: FOR \\w+)? TO (${ROLES})(?: USING | WITH CHECK |;)`,
      "gm",
    ),
  ],
  "USER MAPPING": [new RegExp(`^CREATE USER MAPPING FOR (${ROLE}) SERVER `, "gm")],
};

/** What pg_restore sets before an entry: _selectTablespace of PostgreSQL 17's pg_backup_archiver.c. */
const TABLESPACE = /^SET default_tablespace = (.*);$/m;

/** Not roles, where they stand without quotes. */
const WORDS = new Set(["public", "PUBLIC", "CURRENT_USER", "CURRENT_ROLE", "SESSION_USER"]);

function grant(): RegExp {
  return new RegExp(
    `^(?:ALTER DEFAULT PRIVILEGES .*|)(?:GRANT|REVOKE) .* (?:TO|FROM) (${ROLE})(?: WITH GRANT OPTION)?;$`,
    "gm",
  );
}

/** Reads from an archive's definitions what a server must have; the rehearsal finds what stands in none of these forms. */
export function requirementsOf({
  items,
  largeObjectOwners,
}: Pick<ArchiveContents, "items" | "largeObjectOwners">): Requirements {
  const extensions = items.filter(({ type }) => type === "EXTENSION").map(({ name }) => name);
  const roles = [
    ...largeObjectOwners,
    ...items.flatMap((item) => [...(item.owner === "" ? [] : [item.owner]), ...rolesNamedIn(item)]),
  ];
  const tablespaces = items.flatMap(({ settings }) => {
    const name = TABLESPACE.exec(settings)?.[1];
    return name === undefined || name === "" || name === "''" ? [] : [unquoted(name)];
  });
  return {
    roles: new Set(roles),
    extensions: new Set(extensions),
    tablespaces: new Set(tablespaces),
  };
}

/** Roles that an entry names besides its owner. */
export function rolesNamedIn({ type, sql }: ArchiveItem): string[] {
  const lists = (FORMS[type] ?? []).flatMap((form) =>
    [...sql.matchAll(form)].map(([, names = ""]) => names),
  );
  return lists
    .flatMap((names) => names.match(new RegExp(ROLE, "g")) ?? [])
    .filter((name) => !WORDS.has(name))
    .map(unquoted);
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
