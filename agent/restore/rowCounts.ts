import type pg from "pg";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { type CountedTable, countLargeObjects, countRows } from "../postgres/snapshot.ts";
import { hasNameInUtf8 } from "../postgres/tableLocks.ts";
import { errorCode } from "../runtime/errorMessage.ts";

/** Beyond this share an estimate is so far from what was found that it is worth a word. */
const SAMPLED_TOLERANCE = 0.1;

/** How a restored database differs from its manifest. */
export interface RowComparison {
  readonly tables: number;
  readonly rows: number;
  /** `public.orders: 4 rows instead of 5`, of tables and large objects that were counted; none: they are equal. */
  readonly differences: readonly string[];
  /** The same of tables whose number was estimated from a sample: it proves nothing, since samples are off. */
  readonly remarks: readonly string[];
  /** Tables that are there and could not be counted. */
  readonly notCounted: readonly NotCounted[];
}

/** A restored table that could not be counted, and the server's reason. */
export interface NotCounted {
  /** `public.secrets` */
  readonly table: string;
  readonly reason: string;
  /** The restoring role may not; another one could. */
  readonly denied: boolean;
}

/**
 * Counts every table of the restored database and compares with the counts in the manifest.
 * @param isLeftOut says of a table whether it was not to be restored; then it is not looked for. Large objects neither, where any
 * table was left out
 * @param onTable called with the number of tables compared so far
 */
export async function compareWithManifest(
  client: pg.Client,
  manifest: Manifest,
  onTable: (done: number) => void,
  isLeftOut?: (table: { readonly schema: string; readonly name: string }) => boolean,
): Promise<RowComparison> {
  const differences: string[] = [];
  const remarks: string[] = [];
  const notCounted: NotCounted[] = [];
  let rows = 0;
  const wanted = manifest.tables.filter((table) => isLeftOut?.(table) !== true);
  for (const [index, table] of wanted.entries()) {
    // A name that is no UTF-8 stands in the manifest, and in no statement.
    const nameless = table.counted === false && !hasNameInUtf8(table);
    const found = nameless ? 0 : await countOrNull(client, table);
    const name = `${table.schema}.${table.name}`;
    if (found instanceof Error) {
      const denied = errorCode(found) === "42501";
      notCounted.push({ table: name, reason: found.message, denied });
    } else if (found === null) {
      differences.push(`${name}: missing instead of ${table.exact ? "" : "about "}${table.rows}`);
    } else if (!agrees(found, table)) {
      if (table.exact) differences.push(`${name}: ${found} rows instead of ${table.rows}`);
      else remarks.push(`${name}: about ${table.rows} rows by sample, ${found} found`);
    }
    if (typeof found === "number") rows += found;
    onTable(index + 1);
  }
  if (isLeftOut === undefined) {
    const largeObjects = await countLargeObjects(client);
    if (largeObjects !== manifest.largeObjects) {
      differences.push(`large objects: ${largeObjects} instead of ${manifest.largeObjects}`);
    }
  }
  return { tables: wanted.length - notCounted.length, rows, differences, remarks, notCounted };
}

/** Whether a restored table has as many rows as the manifest has for it; of an estimate, whether it is near. */
export function agrees(
  found: number,
  table: Pick<CountedTable, "rows" | "exact" | "counted">,
): boolean {
  if (table.counted === false) return true;
  if (table.exact) return found === table.rows;
  return Math.abs(found - table.rows) <= table.rows * SAMPLED_TOLERANCE;
}

/** @returns null: there is no such table; an error of the server's: it is there and cannot be counted */
async function countOrNull(client: pg.Client, table: { schema: string; name: string }) {
  try {
    const [counted] = await countRows(client, [table]);
    return counted?.rows ?? null;
  } catch (error) {
    if (!isOfDefinition(error)) throw error;
    // A query is planned with the table's indexes, and a function in one of them may name a table that is not on our path.
    return (await isThere(client, table)) ? error : null;
  }
}

async function isThere(client: pg.Client, { schema, name }: { schema: string; name: string }) {
  const { rows } = await client.query(
    `SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2`,
    [schema, name],
  );
  return rows.length > 0;
}

/**
 * What a definition in the database does to our own statements: names that are not found (42, 3F), rights (42501), and whatever a
 * function raises (22, 38, 39, P0). Anything else, such as a page that cannot be read (XX001), is a failure.
 */
export function isOfDefinition(error: unknown): error is Error {
  return error instanceof Error && /^(?:22|38|39|3F|42|P0)...$/.test(errorCode(error) ?? "");
}
