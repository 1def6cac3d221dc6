import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { Problem } from "../../common/problem.ts";

/** Two halves of an advisory lock's key, of our own choosing: "kpgb" in ASCII, then what is locked. */
const CLASS = 0x6b706762;
const BACKUP = 1;
const RESTORE = 2;

/** How long the lock of a killed restore may outlive it, e.g. while its CREATE DATABASE copies a template. */
const KILLED_RUN_MS = 10_000;
const LOCK_AGAIN_MS = 250;

/** A backup was not started because another one of the same database is under way. */
export class AnotherBackupRuns extends Problem {}

/**
 * Allows one backup of a database at a time. Advisory locks belong to a database, so the database's name is not needed
 * in the key; the lock is gone with its connection, however that ends.
 * @throws AnotherBackupRuns when another backup holds it
 */
export async function takeBackupLock(client: pg.Client, database: string): Promise<void> {
  if (await tryLock(client, BACKUP)) return;
  throw new AnotherBackupRuns(
    `another backup of "${database}" is running, so this one was not started. Wait for it to finish.`,
  );
}

/**
 * Allows one restore on a server at a time: two of them would make and swap the same databases.
 * @param client connection to the maintenance database
 * @throws Problem when another restore holds it
 */
export async function takeRestoreLock(client: pg.Client): Promise<void> {
  // The server ends the last statement of a run that was killed, and only then lets its lock go.
  for (const limit = performance.now() + KILLED_RUN_MS; performance.now() < limit; ) {
    if (await tryLock(client, RESTORE)) return;
    await sleep(LOCK_AGAIN_MS);
  }
  throw new Problem("another restore is running on this server. Wait for it to finish.");
}

/**
 * Refuses to swap a database while it is backed up: cutting that connection would lose the backup.
 * @param client connection to any database of the server
 * @throws Problem when a backup is running
 */
export async function requireNoBackup(client: pg.Client, database: string): Promise<void> {
  const { rowCount } = await client.query(
    `SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
     WHERE l.locktype = 'advisory' AND l.classid = $1 AND l.objid = $2 AND d.datname = $3`,
    [CLASS, BACKUP, database],
  );
  if (rowCount === 0) return;
  throw new Problem(
    `a backup of "${database}" is running; swapping the database now would cut it. Wait for it to finish and restore again.`,
  );
}

async function tryLock(client: pg.Client, what: number): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    "SELECT pg_try_advisory_lock($1, $2) AS locked",
    [CLASS, what],
  );
  return rows[0]?.locked === true;
}
