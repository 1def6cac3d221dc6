import type { Manifest, TableName } from "./manifest.ts";

const NAMES_SHOWN = 5;

/** Kinds of `pg_restore --list` that read better in other words: one, several. */
const WORDS: Readonly<Record<string, readonly [string, string]>> = {
  ACL: ["grant", "grants"],
  "DEFAULT ACL": ["default privilege", "default privileges"],
  BLOB: ["large object", "large objects"],
  "BLOB METADATA": ["large object", "large objects"],
  BLOBS: ["content of large objects", "contents of large objects"],
  INDEX: ["index", "indexes"],
  POLICY: ["policy", "policies"],
  "FOREIGN DATA WRAPPER": ["foreign data wrapper", "foreign data wrappers"],
  "SEQUENCE SET": ["value of a sequence", "values of sequences"],
  "MATERIALIZED VIEW DATA": ["content of a materialized view", "contents of materialized views"],
  STATISTICS: ["statistics object", "statistics objects"],
  "ROW SECURITY": ["switch of row security", "switches of row security"],
};

/**
 * What the options of pg_dump left out of a backup, as words that follow "without".
 * @returns empty: nothing, or the manifest is older than this field
 */
export function leftOut({ dump }: Pick<Manifest, "dump">): string[] {
  if (dump === undefined) return [];
  const { tablesLeftOut, dataLeftOut, otherLeftOut } = dump;
  const others = Object.entries(otherLeftOut).map(([kind, count]) => {
    const [one, several] = WORDS[kind] ?? [kind.toLowerCase(), `${kind.toLowerCase()}s`];
    return count === 1 ? `1 ${one}` : `${count} ${several}`;
  });
  return [
    ...named(tablesLeftOut, "the table", "the tables"),
    ...named(dataLeftOut, "the rows of", "the rows of"),
    ...others,
  ];
}

/** The same in one text for a list: `partial: without the table public.audits`; null: it is whole, as far as is known. */
export function partialText(manifest: Pick<Manifest, "dump">): string | null {
  const parts = leftOut(manifest);
  return parts.length === 0 ? null : `partial: without ${parts.join(", ")}`;
}

/** What a list says behind a backup: why it is suspect, what it lacks, what pg_dump warned of. */
export function remarksOn(manifest: Pick<Manifest, "suspect" | "dump">): string {
  const { suspect, dump } = manifest;
  const partial = partialText(manifest);
  return [suspect, partial, ...(dump?.warnings ?? []).map((text) => `pg_dump warned: ${text}`)]
    .filter((text) => text !== null)
    .join("; ");
}

function named(tables: readonly TableName[], one: string, several: string): string[] {
  if (tables.length === 0) return [];
  const names = tables.slice(0, NAMES_SHOWN).map(({ schema, name }) => `${schema}.${name}`);
  const more = tables.length - names.length;
  const list = more > 0 ? `${names.join(", ")} and ${more} more` : names.join(", ");
  return [`${tables.length === 1 ? one : several} ${list}`];
}
