import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { Problem } from "../../common/problem.ts";
import { errorCode } from "../runtime/errorMessage.ts";

/** A pool of two that hands out its connections in turn shows itself at the third try. */
const TRIES = 3;
/** A pooler makes a client wait while all its connections are taken. */
const FREE_WITHIN_MS = 5_000;

/**
 * Refuses a pooler that hands one connection of the server to several clients in turn (PgBouncer's `pool_mode = transaction` or
 * `statement`). A session's lock would stay on a connection of the application, and so would the empty search_path that pg_dump
 * sets (PostgreSQL 17, pg_dump.c, `setup_connection`), with which the application no longer finds its tables.
 * @param client its backend is not the one that it was told at the start, so something stands between
 * @param pid of the backend that answered it last
 * @param openAnother connects a second client the same way
 * @throws Problem
 */
export async function requireOwnBackend(
  client: pg.Client,
  pid: number,
  where: string,
  openAnother: () => Promise<pg.Client>,
): Promise<void> {
  if (!(await isShared(client, pid, openAnother))) return;
  throw new Problem(
    `PostgreSQL at ${where} is reached through a connection pooler in transaction mode (or statement mode), such as PgBouncer with pool_mode = transaction: locks and settings of a backup or a restore would stay on connections of the application. Set POSTGRES_HOST and POSTGRES_PORT to the server itself, or to a pool with pool_mode = session.`,
  );
}

/** In session mode a backend belongs to one client until it leaves: it never changes, and nobody else gets it. */
async function isShared(
  client: pg.Client,
  pid: number,
  openAnother: () => Promise<pg.Client>,
): Promise<boolean> {
  const other = await openAnother();
  try {
    for (let attempt = 1; attempt <= TRIES; attempt += 1) {
      // Held in a transaction, so that the first client cannot have it back.
      const theirs = await backendOf(other, "BEGIN");
      // A pool of one, which the first client has to itself.
      if (theirs === undefined) return false;
      const ours = theirs === pid ? theirs : await backendOf(client);
      await other.query("ROLLBACK");
      if (theirs === pid || ours !== pid) return true;
    }
    return false;
  } catch (error) {
    // Statement mode allows no transaction block, and ends who begins one.
    const cause = error instanceof Error ? error.cause : undefined;
    if ([errorCode(error), errorCode(cause)].includes("08P01")) return true;
    throw error;
  } finally {
    await other.end();
  }
}

/** Undefined: none became free. */
async function backendOf(client: pg.Client, before?: string): Promise<number | undefined> {
  const asked = async () => {
    if (before !== undefined) await client.query(before);
    const { rows } = await client.query<{ pid: number }>(
      "SELECT pg_catalog.pg_backend_pid() AS pid",
    );
    return rows[0]?.pid;
  };
  const answer = asked();
  // Its failure is the caller's as long as it waits.
  answer.catch(() => {});
  return Promise.race([answer, sleep(FREE_WITHIN_MS, undefined, { ref: false })]);
}
