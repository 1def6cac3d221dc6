import type pg from "pg";
import { onlyOptions } from "../../common/contracts/agentEnvironment/dumpOptions.ts";
import type { ServerSettings } from "../../common/contracts/agentEnvironment/postgres.ts";
import type { DumpRecord, TableName } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import { type DumpedObject, findDumpGaps } from "../postgres/dumpGaps.ts";
import { type DumpContents, listDumpContents, parseExtraOptions } from "./pgDump.ts";

/** How much of a database a dump with the settings' options holds. */
export interface DumpExtent extends Omit<DumpRecord, "warnings"> {
  /** What will be in the dump; absent: everything, since there are no options. */
  readonly contents?: DumpContents;
  /** What is in the dump and cannot be made by a restore, since the options leave out what it needs; for a notice. */
  readonly gap?: string;
  /** What could not be found out, for a notice. */
  readonly unknown?: string;
}

/** An ETL job may hold a lock on a table that the options leave out: that is no reason to wait long. */
const WHOLE_LOCK_WAIT = "2s";

/**
 * Lists what the options leave in and out. Nothing is asked of the server where there are none.
 * @param client a connection to the database
 * @throws Problem when the contents cannot be listed, or no table with its rows is left in
 */
export async function readDumpExtent(
  settings: ServerSettings,
  client: pg.Client,
): Promise<DumpExtent> {
  const options = parseExtraOptions(settings.dumpOptions);
  const nothing = { options, tablesLeftOut: [], dataLeftOut: [], otherLeftOut: {} };
  if (options.length === 0) return nothing;
  const [contents, whole] = await Promise.all([
    listDumpContents(settings),
    listWhole(settings, options),
  ]);
  const tables = await listTables(client);
  requireRestorable(settings.dumpOptions, tables, contents);
  const gaps = await findDumpGaps(client, objectsOf(contents));
  const named = (list: readonly Table[]) => list.map(({ schema, name }) => ({ schema, name }));
  const mayHide = onlyOptions(options, HIDING_OPTIONS).length > 0;
  const tablesLeftOut = tables.filter(({ oid }) => !contents.defined.has(oid));
  return {
    options,
    tablesLeftOut: named(tablesLeftOut),
    dataLeftOut: named(
      tables.filter(
        ({ oid, rows, guarded }) =>
          rows && contents.defined.has(oid) && (!contents.filled.has(oid) || (mayHide && guarded)),
      ),
    ),
    otherLeftOut:
      whole instanceof Problem ? {} : otherLeftOut(whole, contents, tablesLeftOut.length > 0),
    contents,
    ...(gaps.length > 0 && {
      gap: `this backup cannot be restored as it is: ${gaps.join("; ")}, which the options of pg_dump leave out (PGDUMP_EXTRA_OPTS, the argument dumpOptions). Leave out both or none; restore --into NAME --keep-going gets out the rest`,
    }),
    ...(whole instanceof Problem && {
      unknown: `what else than tables the options of pg_dump leave out is not known: ${whole.message}`,
    }),
  };
}

/** The entries that stand in a catalog: the others are parts of them. */
function objectsOf({ entries }: DumpContents): DumpedObject[] {
  return [...entries.keys()].flatMap((entry) => {
    const [, catalog, oid] = /^([1-9]\d*) (\d+) /.exec(entry) ?? [];
    return catalog === undefined ? [] : [{ catalog: Number(catalog), oid: Number(oid) }];
  });
}

/** Options that choose who looks, and how names are written: they leave nothing out. */
const KEPT_OPTIONS = new Set(["role", "encoding"]);

/** With it pg_dump leaves out the rows that the role may not see, where it would fail otherwise. */
const HIDING_OPTIONS = new Set(["enable-row-security"]);

/** The same without the options that leave something out. Failing to must not cost the backup. */
async function listWhole(
  settings: ServerSettings,
  options: readonly string[],
): Promise<DumpContents | Problem> {
  const dumpOptions = onlyOptions(options, KEPT_OPTIONS).join(" ");
  try {
    return await listDumpContents({ ...settings, dumpOptions }, WHOLE_LOCK_WAIT);
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

interface Table extends TableName {
  readonly oid: number;
  /** A partitioned table has no row of its own. */
  readonly rows: boolean;
  /** Row security applies to the role, so that it may not see every row. */
  readonly guarded: boolean;
}

async function listTables(client: pg.Client): Promise<Table[]> {
  const { rows } = await client.query<Omit<Table, "oid"> & { oid: string }>(
    `SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name, c.relkind = 'r' AS rows,
            row_security_active(c.oid) AS guarded
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
       AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
       AND NOT EXISTS (SELECT FROM pg_depend d
                       WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
     ORDER BY n.nspname, c.relname`,
  );
  return rows.map((row) => ({ ...row, oid: Number(row.oid) }));
}

/** Whatever the options are called: a dump without rows, or of rows without their tables, is no backup. */
function requireRestorable(
  dumpOptions: string,
  tables: readonly Table[],
  { defined, filled }: DumpContents,
): void {
  const withRows = tables.filter(({ rows }) => rows);
  const restorable = withRows.filter(({ oid }) => defined.has(oid) && filled.has(oid));
  if (withRows.length === 0 || restorable.length > 0) return;
  throw new Problem(
    `PGDUMP_EXTRA_OPTS "${dumpOptions}" leaves no table with its rows in the backup, so that nothing could be restored from it. Leave out less.`,
  );
}

/** Kinds that belong to a table: they go with it and are not counted for themselves. */
const OF_TABLES = new Set([
  "ACL",
  "CHECK CONSTRAINT",
  "COMMENT",
  "CONSTRAINT",
  "DEFAULT",
  "FK CONSTRAINT",
  "INDEX",
  "INDEX ATTACH",
  "POLICY",
  "PUBLICATION TABLE",
  "ROW SECURITY",
  "RULE",
  "SECURITY LABEL",
  "SEQUENCE",
  "SEQUENCE OWNED BY",
  "SEQUENCE SET",
  "STATISTICS",
  "STATISTICS DATA",
  "SUBSCRIPTION TABLE",
  "TABLE ATTACH",
  "TRIGGER",
]);
/** Kinds of more than one word that are not among those of tables; any other is its first word. */
const SEVERAL_WORDS = [
  ...OF_TABLES,
  "ACCESS METHOD",
  "BLOB METADATA",
  "DATABASE PROPERTIES",
  "DEFAULT ACL",
  "EVENT TRIGGER",
  "FOREIGN DATA WRAPPER",
  "FOREIGN TABLE",
  "MATERIALIZED VIEW",
  "MATERIALIZED VIEW DATA",
  "OPERATOR CLASS",
  "OPERATOR FAMILY",
  "PROCEDURAL LANGUAGE",
  "PUBLICATION TABLES IN SCHEMA",
  "SHELL TYPE",
  "TABLE DATA",
  "TEXT SEARCH CONFIGURATION",
  "TEXT SEARCH DICTIONARY",
  "TEXT SEARCH PARSER",
  "TEXT SEARCH TEMPLATE",
  "USER MAPPING",
]
  .filter((kind) => kind.includes(" "))
  .toSorted((a, b) => b.length - a.length);

/** @param entry as in `DumpContents.entries` */
function kindOf(entry: string): string {
  const what = entry.replace(/^\d+ \d+ /, "");
  const known = SEVERAL_WORDS.find((kind) => what.startsWith(`${kind} `));
  return known ?? what.split(" ", 1)[0] ?? what;
}

function otherLeftOut(
  whole: DumpContents,
  contents: DumpContents,
  withoutTables: boolean,
): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const [entry, times] of whole.entries) {
    const missing = times - (contents.entries.get(entry) ?? 0);
    if (missing <= 0) continue;
    const kind = kindOf(entry);
    if (kind === "TABLE" || kind === "TABLE DATA") continue;
    if (withoutTables && OF_TABLES.has(kind)) continue;
    counts[kind] = (counts[kind] ?? 0) + missing;
  }
  return counts;
}
