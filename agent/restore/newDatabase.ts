import type pg from "pg";
import type { ServerSettings } from "../../common/contracts/agentEnvironment/postgres.ts";
import type { DatabaseProperties } from "../../common/contracts/manifest.ts";
import { messageOf, Problem } from "../../common/problem.ts";
import type { ArchiveContents } from "../archive/contents.ts";
import { connect, readServer, requireAnswer } from "../postgres/connection.ts";
import { readProperties } from "../postgres/databaseProperties.ts";
import { identifier, literal } from "../postgres/identifiers.ts";
import type { AgentContext } from "../runtime/context.ts";
import { errorCode } from "../runtime/errorMessage.ts";
import { isFullDisk } from "./checks/space.ts";
import { createOptions } from "./properties/databaseProperties.ts";
import { isLocaleError, localeProblem } from "./properties/serverLocale.ts";

/** Comment of a database that is an unfinished restore, which the next try may drop. */
export const UNFINISHED = "kamal-postgres-backup: unfinished restore, safe to drop";

/**
 * Makes the empty database that a restore fills, like the given one. A leftover of an earlier try is dropped; anything
 * else of that name is left alone.
 * @param model null: the cluster's defaults
 * @throws Problem when another database of this name exists
 */
export async function createRestoreDatabase(
  client: pg.Client,
  settings: ServerSettings,
  name: string,
  model: DatabaseProperties | null,
): Promise<void> {
  const existing = await readProperties(client, name);
  if (existing !== null && existing.comment !== UNFINISHED) {
    throw new Problem(
      `database "${name}" exists already and is not an unfinished restore. Drop or rename it, then restore again.`,
    );
  }
  await dropRestoreDatabase(client, settings, name);
  try {
    const tablespace = await defaultTablespace(client);
    const { major } = await readServer(client);
    await client.query(
      `CREATE DATABASE ${identifier(name)} ${createOptions(model, { tablespace, major })}`,
    );
  } catch (error) {
    if (model !== null && isLocaleError(error)) throw await localeProblem(client, model, error);
    const message = messageOf(error).replace(/\.$/, "");
    const left = isRefusal(error)
      ? "Nothing was changed."
      : `An empty "${name}" may be left; the next restore drops it.`;
    throw new Problem(`the database for the restore could not be made: ${message}. ${left}`, {
      cause: error,
    });
  }
  await client.query(`COMMENT ON DATABASE ${identifier(name)} IS ${literal(UNFINISHED)}`);
}

/** Whether the server has said no, rather than that its answer is not known: a statement may take effect although it is lost. */
function isRefusal(error: unknown): boolean {
  const code = errorCode(error) ?? errorCode((error as { cause?: unknown } | null)?.cause);
  // Class 57P: the server, or its process, is ended.
  return code?.length === 5 && !code.startsWith("57P");
}

/** The tablespace that a database gets which names none: that of its template. */
export async function defaultTablespace(client: pg.Client): Promise<string> {
  return (await readProperties(client, "template0"))?.tablespace ?? "pg_default";
}

/**
 * Removes what a new database has and the archive makes itself: a dump of one schema makes `public` too, which every new
 * database has.
 * @param client connection to the new database
 * @returns numbers of the entries that must not be made, because what is there could not be removed
 */
export async function makeRoomForSchemas(
  client: pg.Client,
  { items }: Pick<ArchiveContents, "items">,
): Promise<ReadonlySet<number>> {
  const there = new Set<number>();
  for (const { id, type, name, sql } of items) {
    if (type !== "SCHEMA" || !/^CREATE SCHEMA /m.test(sql)) continue;
    const { rowCount } = await client.query("SELECT FROM pg_namespace WHERE nspname = $1", [name]);
    if (rowCount === 0) continue;
    try {
      // Without CASCADE: only what is empty.
      await client.query(`DROP SCHEMA ${identifier(name)}`);
    } catch (error) {
      // Before PostgreSQL 15 "public" belongs to the server's first superuser, not to the database's owner.
      if (errorCode(error) !== "42501") throw error;
      there.add(id);
    }
  }
  return there;
}

/**
 * Removes the tables of an unfinished restore. DROP DATABASE begins with a checkpoint, which fails on a full disk: the disk
 * would stay full and the live database suffer. The space of dropped tables is free at once.
 */
export async function emptyRestoreDatabase(settings: ServerSettings, name: string): Promise<void> {
  const client = await connect(settings, name);
  try {
    const { rows } = await client.query<{ nspname: string }>(
      "SELECT nspname FROM pg_namespace WHERE nspname <> 'information_schema' AND nspname !~ '^pg_'",
    );
    for (const { nspname } of rows) {
      await client.query(`DROP SCHEMA ${identifier(nspname)} CASCADE`);
    }
  } finally {
    await client.end();
  }
}

/**
 * Drops an unfinished restore, also when something is still connected to it, or it holds what keeps a database from being
 * dropped: subscriptions, or the mark of a template.
 */
export async function dropRestoreDatabase(
  client: pg.Client,
  settings: ServerSettings,
  name: string,
): Promise<void> {
  const { rows } = await client.query<{ template: boolean; subscriptions: string[] }>(
    `SELECT d.datistemplate AS template,
            ARRAY(SELECT subname::text FROM pg_subscription WHERE subdbid = d.oid) AS subscriptions
     FROM pg_database d WHERE d.datname = $1`,
    [name],
  );
  const [row] = rows;
  if (row === undefined) return;
  if (row.template) await client.query(`ALTER DATABASE ${identifier(name)} IS_TEMPLATE false`);
  if (row.subscriptions.length > 0) await dropSubscriptions(settings, name, row.subscriptions);
  await client.query(`DROP DATABASE IF EXISTS ${identifier(name)} WITH (FORCE)`);
}

/** Their slots belong to the database that was backed up: a subscription without a slot's name leaves it alone. */
async function dropSubscriptions(
  settings: ServerSettings,
  database: string,
  names: readonly string[],
): Promise<void> {
  const client = await connect(settings, database);
  try {
    for (const name of names.map(identifier)) {
      await client.query(`ALTER SUBSCRIPTION ${name} DISABLE`);
      await client.query(`ALTER SUBSCRIPTION ${name} SET (slot_name = NONE)`);
      await client.query(`DROP SUBSCRIPTION ${name}`);
    }
  } finally {
    await client.end();
  }
}

/** Drops the unfinished database; failing to is a warning, since the cause of the failed restore is what gets thrown. */
export async function dropUnfinished(
  { settings, report, journal }: AgentContext,
  maintenance: pg.Client,
  name: string,
  cause: unknown,
): Promise<void> {
  try {
    await requireAnswer(settings.postgres, maintenance);
    if (cause instanceof Error && isFullDisk(cause.message)) {
      await emptyRestoreDatabase(settings.postgres, name);
    }
    await dropRestoreDatabase(maintenance, settings.postgres, name);
    journal?.tidied(name, "the unfinished database was dropped");
  } catch (error) {
    report.warn(
      `the unfinished database "${name}" could not be dropped (${messageOf(error)}); the next restore of this backup will.`,
    );
  }
}
