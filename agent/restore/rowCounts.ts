import type pg from "pg";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import { type CountedTable, countLargeObjects, countRows } from "../postgres/snapshot.ts";
import { hasNameInUtf8 } from "../postgres/tableLocks.ts";
import { errorCode } from "../runtime/errorMessage.ts";

const SHOWN = 5;
/** A table too large to be counted in the snapshot was estimated there; its estimate may be off by this share. */
const SAMPLED_TOLERANCE = 0.1;

/**
 * Counts every table of the restored database and compares with the counts in the manifest.
 * @param onTable called with the number of tables compared so far
 * @throws Problem that names the first tables which differ
 */
export async function compareWithManifest(
  client: pg.Client,
  manifest: Manifest,
  onTable: (done: number) => void,
): Promise<{ readonly tables: number; readonly rows: number }> {
  const differences: string[] = [];
  let rows = 0;
  for (const [index, table] of manifest.tables.entries()) {
    // A name that is no UTF-8 stands in the manifest, and in no statement.
    const nameless = table.counted === false && !hasNameInUtf8(table);
    const found = nameless ? 0 : await countOrNull(client, table);
    if (found === null || !agrees(found, table)) {
      const text = found === null ? "missing" : `${found} rows`;
      const about = table.exact ? "" : "about ";
      differences.push(`${table.schema}.${table.name}: ${text} instead of ${about}${table.rows}`);
    }
    rows += found ?? 0;
    onTable(index + 1);
  }
  const largeObjects = await countLargeObjects(client);
  if (largeObjects !== manifest.largeObjects) {
    differences.push(`large objects: ${largeObjects} instead of ${manifest.largeObjects}`);
  }
  if (differences.length > 0) {
    const more = differences.length > SHOWN ? ` and ${differences.length - SHOWN} more` : "";
    throw new Problem(
      `the restored data differs from the snapshot: ${differences.slice(0, SHOWN).join("; ")}${more}. The live database was not touched; restore another backup.`,
    );
  }
  return { tables: manifest.tables.length, rows };
}

/** Whether a restored table has as many rows as the manifest has for it. */
export function agrees(
  found: number,
  table: Pick<CountedTable, "rows" | "exact" | "counted">,
): boolean {
  if (table.counted === false) return true;
  if (table.exact) return found === table.rows;
  return Math.abs(found - table.rows) <= table.rows * SAMPLED_TOLERANCE;
}

async function countOrNull(client: pg.Client, table: { schema: string; name: string }) {
  try {
    const [counted] = await countRows(client, [table]);
    return counted?.rows ?? null;
  } catch (error) {
    // 42P01, 3F000: no such table, no such schema.
    if (errorCode(error) === "42P01" || errorCode(error) === "3F000") return null;
    throw error;
  }
}
