import type pg from "pg";
import type { ServerSettings } from "../../../common/contracts/agentEnvironment/postgres.ts";
import { formatBytes } from "../../../common/format.ts";
import { messageOf } from "../../../common/problem.ts";
import { connect } from "../../postgres/connection.ts";
import { identifier, siblingName } from "../../postgres/identifiers.ts";
import type { AgentContext } from "../../runtime/context.ts";
import { defaultFolders, sweepScratch } from "../load/scratchFile.ts";
import { dropRestoreDatabase, UNFINISHED } from "../newDatabase.ts";
import { type LeftDatabase, listKept } from "./keptDatabases.ts";

/** The first object id that a server gives to what its users make (FirstNormalObjectId, access/transam.h of PostgreSQL 17). */
const FIRST_OF_USERS = 16384;

/** Catalogs of what a database may hold; each has a column `oid`. */
const CATALOGS = [
  "pg_namespace",
  "pg_class",
  "pg_proc",
  "pg_type",
  "pg_extension",
  "pg_largeobject_metadata",
];

/**
 * Drops what restores that were killed have left on the server, and names it: databases with our comment, and of the restored
 * database also empty ones without it, since a server finishes the CREATE DATABASE of a client that is gone.
 * @param client connection that holds the lock of restores: what is unfinished now is dead
 * @param database the one that is being restored
 * @param scratch the folder to unpack in
 */
export async function sweepLeftovers(
  { settings, report }: AgentContext,
  client: pg.Client,
  database: string,
  scratch?: string,
): Promise<void> {
  for (const folder of new Set([scratch, ...defaultFolders()])) {
    if (folder !== undefined) await sweepScratch(folder, report);
  }
  const { postgres } = settings;
  const own = { databases: settings.databases, postgres: { ...postgres, database } };
  const dropped: string[] = [];
  for (const one of await listKept(client, own)) {
    if (one.kind !== "unfinished") continue;
    try {
      if (!(await dropIfOurs(client, postgres, one, database))) continue;
      dropped.push(`"${one.name}"${one.bytes === null ? "" : ` (${formatBytes(one.bytes)})`}`);
    } catch (error) {
      report.warn(
        `"${one.name}", which an unfinished restore has left, could not be dropped: ${messageOf(error)}`,
      );
    }
  }
  if (dropped.length === 0) return;
  report.warn(`dropped what unfinished restores had left: ${dropped.join(", ")}.`);
}

/** @returns whether it was ours, and is gone */
async function dropIfOurs(
  client: pg.Client,
  settings: ServerSettings,
  one: LeftDatabase,
  database: string,
): Promise<boolean> {
  const stamp = one.name.slice(-15);
  const ofThis = siblingName(database, "restore", stamp) === one.name;
  if (one.comment === UNFINISHED) {
    // Of another database the sessions may be somebody who looks at it; of this one they are those of the killed run.
    if (!ofThis && one.sessions > 0) return false;
    await dropRestoreDatabase(client, settings, one.name);
    return true;
  }
  if (!ofThis || one.comment !== null || one.sessions > 0) return false;
  if (!(await isEmpty(settings, one.name))) return false;
  // Without FORCE: whoever has connected meanwhile keeps it.
  await client.query(`DROP DATABASE ${identifier(one.name)}`);
  return true;
}

async function isEmpty(settings: ServerSettings, name: string): Promise<boolean> {
  const client = await connect(settings, name);
  try {
    const counts = CATALOGS.map(
      (catalog) => `(SELECT count(*) FROM ${catalog} WHERE oid >= ${FIRST_OF_USERS})`,
    );
    const { rows } = await client.query<{ n: string }>(`SELECT ${counts.join(" + ")} AS n`);
    return rows[0]?.n === "0";
  } finally {
    await client.end();
  }
}
