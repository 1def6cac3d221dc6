import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { messageOf } from "../../common/problem.ts";
import { errorCode } from "../runtime/errorMessage.ts";
import { isGone } from "./brokenConnection.ts";
import { identifier } from "./identifiers.ts";
import { beginLocked, hasNameInUtf8 } from "./tableLocks.ts";

export interface TableRef {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  /** Rows by the server's statistics; -1 when it has none. */
  readonly estimate: number;
  /** A part of a partitioned table, a child by inheritance, or in a schema that an extension has made for itself. */
  readonly partition: boolean;
  /** An unlogged table on a standby, where it has no rows and may not even be looked at; pg_dump leaves its rows out there. */
  readonly unreadable?: boolean;
}

export interface TableRows {
  readonly schema: string;
  readonly name: string;
  readonly rows: number;
}

/** As the manifest has it. */
export type CountedTable = Manifest["tables"][number];

/** A held, exported snapshot. It lives until its connection commits, rolls back or closes. */
export interface Snapshot {
  /** For `pg_dump --snapshot`. */
  readonly id: string;
  readonly takenAt: Date;
  readonly lsn: string | null;
  readonly systemIdentifier: string | null;
  readonly databaseBytes: number;
  readonly tables: readonly TableRef[];
  readonly largeObjects: number;
}

/**
 * Tables with more rows by the server's statistics are not counted but estimated from a hundredth of their pages, which
 * is a matter of seconds where counting takes many minutes and as much reading as the dump itself.
 */
export const COUNTED_UP_TO_ROWS = 50_000_000;
const SAMPLED_PERCENT = 1;
/** Between two looks at a table whose index was locked. */
const COUNT_AGAIN_MS = 2_000;

/** Tables may be dropped between listing and locking; then the list is read again. */
const LOCK_ATTEMPTS = 3;

/**
 * Tables whose rows pg_dump writes: ordinary ones and the leaves of partitioned ones (their parents hold no row, so
 * nothing counts twice). Foreign and temporary tables and the members of extensions are not among them.
 */
const TABLES_SQL = `
  SELECT c.oid::int8 AS oid, n.nspname AS schema, c.relname AS name,
         c.reltuples::float8 AS estimate,
         c.relispartition
           OR EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
           OR EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_namespace'::regclass
                      AND e.objid = n.oid AND e.deptype = 'e') AS partition,
         c.relpersistence = 'u' AND pg_is_in_recovery() AS unreadable
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind = 'r' AND c.relpersistence <> 't'
    AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    AND NOT EXISTS (SELECT FROM pg_depend d
                    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
  ORDER BY n.nspname, c.relname`;

/**
 * Takes a read-only snapshot for the dump. Every table is locked (ACCESS SHARE) *before* the snapshot, because a
 * TRUNCATE between the snapshot and pg_dump's own lock would empty the table in the dump, silently.
 * @param only oids of the tables that the dump's options leave in; absent: all
 * Its transaction waits for any lock for two seconds at most.
 * @throws Problem when a table stays locked by someone else, or may not be read
 */
export async function takeSnapshot(
  client: pg.Client,
  only?: ReadonlySet<number>,
): Promise<Snapshot> {
  const systemIdentifier = await readSystemIdentifier(client);
  for (let attempt = 1; ; attempt += 1) {
    const seen = await listTables(client, only);
    try {
      await beginLocked(client, seen, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    } catch (error) {
      // 42P01: dropped meanwhile.
      if (errorCode(error) === "42P01" && attempt < LOCK_ATTEMPTS) continue;
      throw error;
    }
    return await describe(client, systemIdentifier, only);
  }
}

/**
 * Exact number of rows of each table, as the connection's snapshot sees it.
 * @param onTable called after each table
 */
export async function countRows(
  client: pg.Client,
  tables: readonly { readonly schema: string; readonly name: string }[],
  onTable?: (done: number) => void,
): Promise<TableRows[]> {
  const counted: TableRows[] = [];
  for (const { schema, name } of tables) {
    const { rows } = await client.query<{ count: string }>(
      `SELECT count(*) AS count FROM ONLY ${identifier(schema)}.${identifier(name)}`,
    );
    counted.push({ schema, name, rows: Number(rows[0]?.count) });
    onTable?.(counted.length);
  }
  return counted;
}

/**
 * Rows of each table inside the snapshot's transaction, giving back each table's index locks, of which a server has few. Counting
 * plans a query and so needs the table's indexes, which pg_dump's COPY does not (PostgreSQL 17, plancat.c, `get_relation_info`): one
 * that is being rebuilt is come back to as long as the dump runs. What cannot be counted costs no backup.
 */
export async function countSnapshotRows(
  client: pg.Client,
  tables: readonly TableRef[],
  {
    countedUpTo = COUNTED_UP_TO_ROWS,
    isWanted = () => false,
    onUncounted,
  }: {
    /** Tables with more rows than this are sampled. */
    readonly countedUpTo?: number;
    /** Whether a table that could not be counted is tried again: the dump still runs. @default not */
    readonly isWanted?: () => boolean;
    /** Called with the tables that could not be counted in the end, and why. */
    readonly onUncounted?: (failed: ReadonlyMap<TableRef, string>) => void;
  } = {},
): Promise<CountedTable[]> {
  const counted = new Map<TableRef, CountedTable>();
  let left = [...tables];
  for (;;) {
    const failed = new Map<TableRef, unknown>();
    for (const table of left) {
      try {
        counted.set(table, await countTable(client, table, countedUpTo));
      } catch (error) {
        failed.set(table, error);
      }
    }
    left = [...failed.keys()];
    const again = [...failed.values()].some((error) => !isGone(error)) && isWanted();
    if (again) {
      await sleep(COUNT_AGAIN_MS);
      continue;
    }
    if (failed.size > 0) {
      onUncounted?.(new Map([...failed].map(([table, error]) => [table, messageOf(error)])));
    }
    return tables.map((table) => counted.get(table) ?? uncounted(table));
  }
}

async function countTable(
  client: pg.Client,
  table: TableRef,
  countedUpTo: number,
): Promise<CountedTable> {
  const { schema, name, partition } = table;
  const more = { schema, name, ...(partition && { partition }) };
  if (table.unreadable === true) return { ...more, rows: 0, exact: true };
  if (!hasNameInUtf8(table)) throw new Error("its name is not UTF-8");
  const exact = table.estimate <= countedUpTo;
  await client.query("SAVEPOINT count_rows");
  try {
    const rows = exact
      ? ((await countRows(client, [table]))[0]?.rows ?? 0)
      : await sampleRows(client, table);
    return { ...more, rows, exact };
  } finally {
    await client.query("ROLLBACK TO SAVEPOINT count_rows");
  }
}

function uncounted({ schema, name, partition, estimate }: TableRef): CountedTable {
  const rows = Math.max(0, Math.round(estimate));
  return { schema, name, rows, exact: false, counted: false, ...(partition && { partition }) };
}

async function sampleRows(client: pg.Client, { schema, name }: TableRef): Promise<number> {
  const { rows } = await client.query<{ count: string }>(
    `SELECT count(*) AS count FROM ONLY ${identifier(schema)}.${identifier(name)} TABLESAMPLE SYSTEM (${SAMPLED_PERCENT})`,
  );
  return Math.round((Number(rows[0]?.count) * 100) / SAMPLED_PERCENT);
}

/** Number of large objects that the connection sees. */
export async function countLargeObjects(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ count: string }>(
    "SELECT count(*) AS count FROM pg_largeobject_metadata",
  );
  return Number(rows[0]?.count);
}

async function listTables(client: pg.Client, only?: ReadonlySet<number>): Promise<TableRef[]> {
  const { rows } = await client.query<Omit<TableRef, "oid"> & { oid: string }>(TABLES_SQL);
  return rows
    .map((row) => ({ ...row, oid: Number(row.oid) }))
    .filter(({ oid }) => only === undefined || only.has(oid));
}

async function describe(
  client: pg.Client,
  systemIdentifier: string | null,
  only?: ReadonlySet<number>,
): Promise<Snapshot> {
  // statement_timestamp(), not now(): the transaction may have waited for its locks.
  const { rows } = await client.query<{
    id: string;
    taken_at: Date;
    lsn: string | null;
    bytes: string;
  }>(`SELECT pg_export_snapshot() AS id, date_trunc('second', statement_timestamp()) AS taken_at,
             (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                   ELSE pg_current_wal_lsn() END)::text AS lsn,
             pg_database_size(current_database()) AS bytes`);
  const [row] = rows;
  if (row === undefined) throw new Error("the server exported no snapshot");
  return {
    id: row.id,
    takenAt: row.taken_at,
    lsn: row.lsn,
    systemIdentifier,
    databaseBytes: Number(row.bytes),
    tables: await listTables(client, only),
    largeObjects: await countLargeObjects(client),
  };
}

/** What tells one server, with its standbys and copies, from another; null where the role may not read it. */
export async function readSystemIdentifier(client: pg.Client): Promise<string | null> {
  try {
    const { rows } = await client.query<{ id: string }>(
      "SELECT system_identifier::text AS id FROM pg_control_system()",
    );
    return rows[0]?.id ?? null;
  } catch (error) {
    // 42501: the role may not read it; in the manifest that is null.
    if (errorCode(error) === "42501") return null;
    throw error;
  }
}
