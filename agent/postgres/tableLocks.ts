import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { messageOf, Problem } from "../../common/problem.ts";
import { errorCode } from "../runtime/errorMessage.ts";
import { identifier } from "./identifiers.ts";

/**
 * Whoever changes a table that we have locked already waits for us, and the application behind them: the wait for the other tables
 * is short, and between two tries nothing is locked.
 */
const LOCK_WAIT = "2s";
const PAUSE_MS = 1_000;
/** All tries together. */
const LOCK_DEADLINE_MS = 60_000;

/** A table as far as its lock needs it. */
export interface LockedTable {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
}

/** In an SQL_ASCII database names are bytes of any encoding; those that are no UTF-8 cannot be written in a statement of ours. */
export function hasNameInUtf8({ schema, name }: Omit<LockedTable, "oid">): boolean {
  return !`${schema}${name}`.includes("\u{FFFD}");
}

/**
 * Begins a transaction and locks tables in it as pg_dump will, so that nobody can change them.
 * @param begin the statement
 * @throws Problem when one stays locked by somebody else; the server's error when one is gone
 */
export async function beginLocked(
  client: pg.Client,
  tables: readonly LockedTable[],
  begin: string,
): Promise<void> {
  const started = performance.now();
  for (;;) {
    await client.query(begin);
    try {
      await client.query(`SET LOCAL lock_timeout = '${LOCK_WAIT}'`);
      for (const statement of lockStatements(tables)) await client.query(statement);
      return;
    } catch (error) {
      await client.query("ROLLBACK");
      const waited = performance.now() - started;
      if (errorCode(error) !== "55P03" || waited > LOCK_DEADLINE_MS) throw explainLock(error);
    }
    await sleep(PAUSE_MS);
  }
}

/**
 * Whether somebody waits for a table that we have locked and pg_dump has not: pg_dump would wait for them, they wait for us, and
 * we for pg_dump, which the server cannot see; meanwhile the application waits behind them. Only ACCESS EXCLUSIVE conflicts with
 * our lock.
 * @param monitor connection of the same role as the others
 * @param holder process that holds our locks
 */
export async function isInTheWay(monitor: pg.Client, holder: number): Promise<boolean> {
  const { rows } = await monitor.query<{ found: boolean }>(
    `SELECT EXISTS (
       SELECT FROM pg_locks waiting JOIN pg_locks held
         ON held.locktype = 'relation' AND held.granted AND held.pid = $1
            AND held.database = waiting.database AND held.relation = waiting.relation
       WHERE waiting.locktype = 'relation' AND NOT waiting.granted AND waiting.mode = 'AccessExclusiveLock'
         AND NOT EXISTS (
           SELECT FROM pg_locks dumped JOIN pg_stat_activity a ON a.pid = dumped.pid
           WHERE dumped.locktype = 'relation' AND dumped.granted AND dumped.database = waiting.database
             AND dumped.relation = waiting.relation AND a.application_name = 'pg_dump' AND a.usename = current_user
         )) AS found`,
    [holder],
  );
  return rows[0]?.found === true;
}

function* lockStatements(tables: readonly LockedTable[]): Generator<string> {
  const named = tables.filter(hasNameInUtf8);
  if (named.length > 0) {
    const names = named.map(({ schema, name }) => `ONLY ${identifier(schema)}.${identifier(name)}`);
    yield `LOCK TABLE ${names.join(", ")} IN ACCESS SHARE MODE`;
  }
  for (const { oid } of tables.filter((table) => !hasNameInUtf8(table))) {
    yield `DO $$ BEGIN EXECUTE format('LOCK TABLE ONLY %s IN ACCESS SHARE MODE', ${oid}::regclass); END $$`;
  }
}

function explainLock(error: unknown): unknown {
  const message = messageOf(error);
  if (errorCode(error) === "55P03") {
    return new Problem(
      "a table stayed locked by another session for 60 s, so nothing was dumped. Look for a long ALTER TABLE, VACUUM FULL or migration in pg_stat_activity and try again.",
    );
  }
  if (errorCode(error) === "42501") {
    return new Problem(
      `the role may not read every table (${message}), so nothing was dumped. Grant it pg_read_all_data, or use the role that owns the tables.`,
    );
  }
  if (errorCode(error) === "53200") {
    return new Problem(
      "the server's lock table is too small to hold all tables of this database at once, which every dump must, so nothing was dumped. Raise max_locks_per_transaction in postgresql.conf, for instance to 256, and restart the server.",
    );
  }
  return error;
}
