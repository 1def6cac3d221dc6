import type { Entry } from "../../../common/contracts/agentEvents.ts";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { tablesLike } from "../../../common/contracts/tablePattern.ts";
import { Problem } from "../../../common/problem.ts";

/** Which part of a database is wanted. */
export interface PartOptions {
  /** Only these tables, `orders` or `audit.log`, with `*` for any characters. */
  readonly table?: readonly string[];
  /** No rows at all. @default false */
  readonly schemaOnly?: boolean;
}

/**
 * The agent's options for a part of a backup.
 * @throws Problem for a table that the backup does not have
 */
export function partWords(
  manifest: Pick<Manifest, "tables"> | null,
  { stamp }: Pick<Entry, "stamp">,
  { table: patterns = [], schemaOnly = false }: PartOptions,
): string[] {
  const rows = schemaOnly ? ["--schema-only"] : [];
  if (patterns.length === 0) return rows;
  if (manifest === null) {
    throw new Problem(
      `--table: the backup of ${stamp} has no manifest that lists its tables. Leave --table out.`,
    );
  }
  const { tables } = manifest;
  const wanted = new Set(patterns.flatMap((pattern) => named(tables, pattern)));
  const others = tables.filter((one) => !wanted.has(one));
  return [
    ...rows,
    ...others.flatMap(({ schema, name }) => ["--exclude-table", `${schema}.${name}`]),
  ];
}

function named(tables: Manifest["tables"], pattern: string): Manifest["tables"] {
  const found = tables.filter(tablesLike(pattern));
  if (found.length > 0) return found;
  const some = tables.slice(0, 10).map(({ schema, name }) => `${schema}.${name}`);
  const more = tables.length > 10 ? ` and ${tables.length - 10} more` : "";
  throw new Problem(
    `--table ${pattern}: the backup has no such table. It has ${some.join(", ") || "none"}${more}.`,
  );
}
