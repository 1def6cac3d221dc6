import type pg from "pg";
import type { ServerSettings } from "../../common/contracts/agentEnvironment/postgres.ts";
import { Problem } from "../../common/problem.ts";
import { connect } from "../postgres/connection.ts";
import { identifier, literal } from "../postgres/identifiers.ts";
import type { AgentContext } from "../runtime/context.ts";
import { createOptions, type DatabaseProperties, readProperties } from "./databaseProperties.ts";
import { isFullDisk } from "./load/failure.ts";

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
  name: string,
  model: DatabaseProperties | null,
): Promise<void> {
  const existing = await readProperties(client, name);
  if (existing !== null && existing.comment !== UNFINISHED) {
    throw new Problem(
      `database "${name}" exists already and is not an unfinished restore. Drop or rename it, then restore again.`,
    );
  }
  await dropRestoreDatabase(client, name);
  try {
    await client.query(`CREATE DATABASE ${identifier(name)} ${createOptions(model)}`);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const owner = model === null ? "" : ` and membership in "${model.owner}", the owner`;
    throw new Problem(
      `the database for the restore could not be made: ${message}. Nothing was changed. The role needs CREATEDB${owner}; a superuser has both.`,
      { cause: error },
    );
  }
  await client.query(`COMMENT ON DATABASE ${identifier(name)} IS ${literal(UNFINISHED)}`);
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

/** Drops an unfinished restore, also when something is still connected to it. */
export async function dropRestoreDatabase(client: pg.Client, name: string): Promise<void> {
  await client.query(`DROP DATABASE IF EXISTS ${identifier(name)} WITH (FORCE)`);
}

/** Drops the unfinished database; failing to is a warning, since the cause of the failed restore is what gets thrown. */
export async function dropUnfinished(
  { settings, report, journal }: AgentContext,
  maintenance: pg.Client,
  name: string,
  cause: unknown,
): Promise<void> {
  try {
    if (cause instanceof Error && isFullDisk(cause.message)) {
      await emptyRestoreDatabase(settings.postgres, name);
    }
    await dropRestoreDatabase(maintenance, name);
    journal?.tidied(name, "the unfinished database was dropped");
  } catch (error) {
    report.warn(
      `the unfinished database "${name}" could not be dropped (${error instanceof Error ? error.message : String(error)}); the next restore of this backup will.`,
    );
  }
}
