import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { ServerSettings } from "../../common/contracts/agentEnvironment/postgres.ts";
import { Problem } from "../../common/problem.ts";
import { connect } from "./connection.ts";

/** Two halves of an advisory lock's key, of our own choosing: "kpgb" in ASCII, then what is locked. */
const CLASS = 0x6b706762;
const BACKUP = 1;
const RESTORE = 2;
const WAL = 3;
const BASE = 4;

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
  if (!(await tryLock(client, BACKUP))) {
    throw new AnotherBackupRuns(
      `another backup of "${database}" is running, so this one was not started. ${describe(await holderOf(client, BACKUP, database))}`,
    );
  }
  const base = await holderOf(client, BASE);
  if (base === undefined) return;
  await unlock(client, BACKUP);
  throw new AnotherBackupRuns(
    `a base backup of the server is running, so this one was not started. ${describe(base)}`,
  );
}

/**
 * Allows one base backup of a server at a time, and none beside a backup of a database: both read all that is there. Each takes its
 * lock first and then looks for the other's, so that never both go on.
 * @param client connection to the maintenance database
 * @throws AnotherBackupRuns when a backup of either kind is running
 */
export async function takeBaseLock(client: pg.Client): Promise<void> {
  if (!(await tryLock(client, BASE))) {
    throw new AnotherBackupRuns(
      `another base backup of this server is running, so this one was not started. ${describe(await holderOf(client, BASE))}`,
    );
  }
  const backup = await holderOf(client, BACKUP);
  if (backup === undefined) return;
  await unlock(client, BASE);
  throw new AnotherBackupRuns(
    `a backup of a database is running, so the base backup was not started. ${describe(backup)}`,
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
  throw new Problem(
    `another restore is running on this server. ${describe(await holderOf(client, RESTORE))}`,
  );
}

/**
 * Allows one agent to archive the WAL of a server: two would drop each other's slots.
 * @param client connection to the maintenance database
 * @throws Problem when another one holds it
 */
export async function takeWalLock(client: pg.Client): Promise<void> {
  if (await tryLock(client, WAL)) return;
  throw new Problem(
    `another agent archives the WAL of this server. ${describe(await holderOf(client, WAL))}`,
  );
}

/**
 * Refuses to swap a database while it is backed up: cutting that connection would lose the backup.
 * @param client connection to any database of the server
 * @throws Problem when a backup is running
 */
export async function requireNoBackup(client: pg.Client, database: string): Promise<void> {
  const holder = await holderOf(client, BACKUP, database);
  if (holder === undefined) return;
  throw new Problem(
    `a backup of "${database}" is running; swapping the database now would cut it. ${describe(holder)} Then restore again.`,
  );
}

/** How the backup that was waited for came to its end: it gave up its lock, or it does nothing any more. */
export type WaitResult = "ended" | "idle";

const LOOK_EVERY_MS = 2_000;
/** The last parts of an upload may take minutes after pg_dump has ended; a host that vanished gives up its lock before. */
const IDLE_LIMIT_MS = 5 * 60_000;
const LONGEST_WAIT_MS = 6 * 3_600_000;

/**
 * Waits for the backup that holds the database's lock, or for the base backup of its server.
 * @param idleLimitMs longest time without a pg_dump or pg_basebackup beside it
 * @throws the signal's reason
 */
export async function waitForBackup(
  settings: ServerSettings,
  signal: AbortSignal,
  idleLimitMs: number = IDLE_LIMIT_MS,
): Promise<WaitResult> {
  const client = await connect(settings);
  const started = performance.now();
  let active = started;
  try {
    for (;;) {
      signal.throwIfAborted();
      const holder =
        (await holderOf(client, BACKUP, settings.database)) ?? (await holderOf(client, BASE));
      if (holder === undefined) return "ended";
      const now = performance.now();
      if (holder.dumping) active = now;
      if (now - active > idleLimitMs || now - started > LONGEST_WAIT_MS) return "idle";
      await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  } finally {
    await client.end();
  }
}

interface Holder {
  readonly pid: number;
  readonly since: Date | null;
  /** Null: over a Unix socket, or not to be seen by this role. */
  readonly from: string | null;
  /** A pg_dump is connected to the same database, or a pg_basebackup to the server. */
  readonly dumping: boolean;
}

/** The connection that has a lock of ours. */
async function holderOf(
  client: pg.Client,
  what: number,
  database?: string,
): Promise<Holder | undefined> {
  const { rows } = await client.query<Holder>(
    `SELECT l.pid, a.backend_start AS since, host(a.client_addr) AS "from",
            EXISTS (SELECT FROM pg_stat_activity p
                    WHERE p.datid = l.database AND p.application_name = 'pg_dump'
                       OR p.application_name = 'pg_basebackup') AS dumping
     FROM pg_locks l JOIN pg_database d ON d.oid = l.database LEFT JOIN pg_stat_activity a ON a.pid = l.pid
     WHERE l.locktype = 'advisory' AND l.granted AND l.classid = $1 AND l.objid = $2
       AND ($3::text IS NULL OR d.datname = $3)`,
    [CLASS, what, database ?? null],
  );
  return rows[0];
}

/** Who it is, and what to do: a connection whose program is gone would stay until the server notices. */
function describe(holder: Holder | undefined): string {
  if (holder === undefined) return "Wait for it to finish.";
  const since = holder.since === null ? "" : ` since ${holder.since.toISOString().slice(0, 19)}Z`;
  const from = holder.from === null ? "" : ` from ${holder.from}`;
  return `It is connected${since}${from} (process ${holder.pid} of the server). Wait for it to finish; if nothing runs there any more, the server ends it within two minutes, or end it at once: SELECT pg_terminate_backend(${holder.pid}).`;
}

async function tryLock(client: pg.Client, what: number): Promise<boolean> {
  const { rows } = await client.query<{ locked: boolean }>(
    "SELECT pg_try_advisory_lock($1, $2) AS locked",
    [CLASS, what],
  );
  return rows[0]?.locked === true;
}

async function unlock(client: pg.Client, what: number): Promise<void> {
  await client.query("SELECT pg_advisory_unlock($1, $2)", [CLASS, what]);
}
