import { type Manifest, totalRows } from "../../common/contracts/manifest.ts";
import { tablesLike } from "../../common/contracts/tablePattern.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { CLOCK_TOLERANCE_MS, countingBackups } from "../../storage/catalogue/countingBackups.ts";
import { stampOf } from "../../storage/catalogue/objectKeys.ts";
import { readManifest } from "../../storage/catalogue/readManifest.ts";
import type { Snapshot } from "../postgres/snapshot.ts";
import type { AgentContext } from "../runtime/context.ts";
import { errorMessage } from "../runtime/errorMessage.ts";

const NAMES_SHOWN = 5;
/** So many manifests are tried; each failure is a warning. */
const TRIES = 3;

/**
 * The manifest of the latest good backup, with which the next one is compared.
 * @param entries of one database, newest first
 * @returns null when there is none to compare with
 */
export async function findReference(
  { store, report, signal }: AgentContext,
  entries: readonly CatalogueEntry[],
): Promise<Manifest | null> {
  const candidates = countingBackups(entries).filter(({ kind }) => kind === "ours");
  for (const entry of candidates.slice(0, TRIES)) {
    try {
      return await readManifest(store, entry);
    } catch (error) {
      // Whatever is wrong with an older backup, it never stops the next one.
      signal.throwIfAborted();
      report.warn(`not compared with the backup of ${entry.stamp}: ${errorMessage(error)}`);
    }
  }
  return null;
}

/**
 * Why a dump of this snapshot is suspect, judged before it is made; null: it is not.
 * Partitions do not count as lost, since they come and go.
 * @param transientTables patterns of other tables that do
 * @param wasRestored whether a restore has put the earlier server's data here
 */
export function snapshotAnomaly(
  snapshot: Pick<Snapshot, "tables" | "systemIdentifier">,
  reference: Manifest,
  transientTables: readonly string[] = [],
  wasRestored = false,
): string | null {
  const since = `in the backup of ${reference.takenAt}`;
  const before = reference.server.systemIdentifier;
  const now = snapshot.systemIdentifier;
  if (isAnotherServer(snapshot, reference) && !wasRestored) {
    return `it comes from another server: system identifier ${now}, ${before} ${since}`;
  }
  const lasting = lastingTables(reference.tables, transientTables);
  if (snapshot.tables.length === 0 && lasting.length > 0) {
    return `the database has no table, ${reference.tables.length} ${since}`;
  }
  const lost = lostTables(snapshot, reference, transientTables);
  if (lost.length === 0) return null;
  const more = lost.length > NAMES_SHOWN ? ` and ${lost.length - NAMES_SHOWN} more` : "";
  const names = `${lost.slice(0, NAMES_SHOWN).join(", ")}${more}`;
  return lost.length === 1
    ? `table ${names} is gone, which was ${since}`
    : `${lost.length} tables are gone, which were ${since}: ${names}`;
}

/** Whether a snapshot is certainly of another server than an earlier backup. */
export function isAnotherServer(
  { systemIdentifier }: Pick<Snapshot, "systemIdentifier">,
  { server }: Manifest,
): boolean {
  const before = server.systemIdentifier;
  return before !== null && systemIdentifier !== null && before !== systemIdentifier;
}

/** The tables, `schema.name`, that an earlier backup had and that are not allowed to go. */
export function lostTables(
  { tables }: Pick<Snapshot, "tables">,
  reference: Manifest,
  transientTables: readonly string[] = [],
): string[] {
  const present = new Set(tables.map(tableKey));
  return lastingTables(reference.tables, transientTables)
    .filter((table) => table.partition !== true && !present.has(tableKey(table)))
    .map(({ schema, name }) => `${schema}.${name}`);
}

/**
 * Why a stored dump is suspect for its size; null: it is not. Dumps packed in different ways do not compare. Where tables
 * that come and go have lost rows, sizes do not compare either, since a dump does not tell what each table takes: then the
 * rows of the other tables are compared.
 * @param maxShrinkPercent largest share of the earlier size that may be missing
 */
export function sizeAnomaly(
  dump: Pick<Manifest, "compression" | "encryption" | "tables"> & { readonly bytes: number },
  reference: Manifest,
  {
    maxShrinkPercent,
    transientTables = [],
  }: { readonly maxShrinkPercent: number; readonly transientTables?: readonly string[] },
): string | null {
  const rows = [reference, dump].map(({ tables }) => {
    const lasting = totalRows({ tables: lastingTables(tables, transientTables) });
    return { lasting, transient: totalRows({ tables }) - lasting };
  });
  const [then, now] = rows as [(typeof rows)[number], (typeof rows)[number]];
  if (now.transient < then.transient) {
    const lost = (1 - now.lasting / then.lasting) * 100;
    if (then.lasting === 0 || lost <= maxShrinkPercent) return null;
    return `the tables other than BACKUP_TRANSIENT_TABLES lost ${Math.floor(lost)} % of their rows since the backup of ${reference.takenAt}: ${now.lasting} rows, ${then.lasting} before; BACKUP_MAX_SHRINK_PERCENT allows ${maxShrinkPercent} %`;
  }
  if (dump.compression !== reference.compression) return null;
  const before = reference.object.bytes;
  const shrunk = (1 - dump.bytes / before) * 100;
  if (shrunk <= maxShrinkPercent) return null;
  return `the dump shrank by ${Math.floor(shrunk)} % since the backup of ${reference.takenAt}: ${dump.bytes} bytes, ${before} before; BACKUP_MAX_SHRINK_PERCENT allows ${maxShrinkPercent} %`;
}

/** What to do about clocks that differ, in place of accepting the backup: its stamp stays wrong. */
export const CLOCK_REMEDY =
  "Set the clock of the database's host (NTP), then take another one: backup.";

/**
 * Why a snapshot's stamp cannot be right, by the clock of the service that will store it; null: it can, or the service has
 * not told its time.
 * @param takenAt by the database server's clock
 * @param service its time before and after the snapshot was taken, which may have waited for locks
 */
export function clockDifference(
  takenAt: Date,
  service: { readonly before: Date | undefined; readonly after: Date | undefined; name: string },
): string | null {
  const { before, after, name } = service;
  if (before === undefined || after === undefined) return null;
  const stamp = takenAt.getTime();
  const ahead = stamp > after.getTime() + CLOCK_TOLERANCE_MS;
  const behind = stamp < before.getTime() - CLOCK_TOLERANCE_MS;
  if (!ahead && !behind) return null;
  const [theirs, way] = ahead ? [after, "ahead of"] : [before, "behind"];
  return `the clock of the database's server says ${stampOf(takenAt)}Z, which is ${way} that of ${name}, ${stampOf(theirs)}Z, by more than 5 minutes`;
}

function lastingTables(
  tables: Manifest["tables"],
  transientTables: readonly string[],
): Manifest["tables"] {
  if (transientTables.length === 0) return tables;
  const mayGo = transientTables.map(tablesLike);
  return tables.filter((table) => !mayGo.some((names) => names(table)));
}

function tableKey({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return JSON.stringify([schema, name]);
}
