/** The databases of the matrix: between them everything that a database of PostgreSQL can hold. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface RichDatabase {
  readonly name: string;
  /** Words behind CREATE DATABASE. */
  readonly options?: string;
  /** Statements about the database itself, run as superuser elsewhere; `DB` stands for its quoted name. */
  readonly properties?: string;
  /** Files in `sql/`. A file `NAME.17.sql` is for that major and those after it. */
  readonly content: string | readonly string[];
  /** The first major that can have it. @default 15 */
  readonly since?: number;
  /** The encoding of the client that fills it. @default UTF8 */
  readonly clientEncoding?: string;
}

const C = "template template0 lc_collate 'C' lc_ctype 'C'";

/** One row is an application: its databases are backed up by one run. */
const APPLICATIONS: readonly (readonly RichDatabase[])[] = [
  [
    { name: "rails_production", content: "rails" },
    { name: "rails_production_cache", content: "rails_cache" },
    { name: "rails_production_queue", content: "rails_queue" },
    { name: "rails_production_cable", content: "rails_cable" },
  ],
  [
    {
      name: `Odd "db" 'x' = %s é; --`,
      content: "odd",
      properties: `alter database DB set search_path to public, "Odd 'schema'";
        comment on database DB is 'it''s "odd" \\ too';
        grant temporary on database DB to "Odd ""role'";`,
    },
  ],
  [
    {
      name: "ledger",
      options: `owner app encoding 'UTF8' ${C} connection limit 40`,
      properties: `alter database DB set timezone = 'Asia/Tokyo';
        alter database DB set app.tenant = 'acme';
        alter role alice in database DB set statement_timeout = '9s';
        revoke connect on database DB from public;
        grant connect on database DB to readers; grant create on database DB to web with grant option;
        comment on database DB is 'the books';`,
      content: "ledger",
    },
  ],
  [{ name: "types", content: "types" }],
  [{ name: "tables", content: "tables" }],
  [{ name: "views", content: "views" }],
  [{ name: "wires", content: "wires" }],
  [
    {
      name: "blobs",
      properties:
        "alter database DB with is_template true; alter database DB set lo_compat_privileges = on; alter database DB set bytea_output = 'escape';",
      content: "blobs",
    },
  ],
  [{ name: "latin", options: `encoding 'LATIN1' ${C}`, content: "latin" }],
  [
    {
      name: "old_ascii",
      options: `encoding 'SQL_ASCII' ${C}`,
      content: "ascii",
      clientEncoding: "SQL_ASCII",
    },
  ],
  [
    {
      name: "icu",
      options: "template template0 locale_provider icu icu_locale 'de-DE'",
      content: "icu",
    },
  ],
  [{ name: "extended", content: "extended" }],
  [
    {
      name: "ruled",
      since: 16,
      options: "template template0 locale_provider icu icu_locale 'de-DE' icu_rules '&z < ä'",
      content: "icu",
    },
  ],
  // All of what one database can hold, and the locale that came with this major.
  [
    {
      name: "everything",
      since: 17,
      options: "template template0 locale_provider builtin builtin_locale 'C.UTF-8'",
      content: ["tables", "types", "views", "extended", "wires"],
    },
  ],
];

/** Those that a server of this major can have. */
export const applicationsOf = (major: number) =>
  APPLICATIONS.filter((databases) => databases.every(({ since = 15 }) => since <= major));

/** The statements that fill a database of a server of this major. */
export function contentOf({ content }: Pick<RichDatabase, "content">, major: number): string {
  const majors = Array.from({ length: major - 15 }, (_, n) => 16 + n);
  const parts = ["", ...majors.map((each) => `.${each}`)];
  const files = [content]
    .flat()
    .flatMap((name) => parts.map((part) => join(import.meta.dirname, "sql", `${name}${part}.sql`)));
  return files
    .filter((file) => existsSync(file))
    .map((file) => readFileSync(file, "utf8"))
    .join("\n");
}

export const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
