import type pg from "pg";
import type { ServerSettings } from "../../../common/contracts/agentEnvironment/postgres.ts";
import { leftOut } from "../../../common/contracts/leftOut.ts";
import type { Manifest, TableName } from "../../../common/contracts/manifest.ts";
import { Problem } from "../../../common/problem.ts";
import { connect } from "../../postgres/connection.ts";
import { identifier } from "../../postgres/identifiers.ts";
import type { NotRestored } from "../notRestored.ts";

/** What is about objects, or about other servers, and no part of the data. */
const WITHOUT_DATA =
  /^(?:ACL|DEFAULT ACL|COMMENT|SECURITY LABEL|PUBLICATION.*|SUBSCRIPTION.*|STATISTICS DATA)$/;
const SHOWN = 5;

/** Notes what the options of pg_dump left out of a backup. */
export function noteLeftOut(manifest: Manifest | null, notRestored: NotRestored): void {
  if (manifest === null) return;
  for (const part of leftOut(manifest)) {
    notRestored.add(`${part}, which the options of pg_dump left out of the backup`);
  }
}

/**
 * Keeps a partial backup from taking the place of a live database that has what it lacks.
 * @param live name of the live database
 * @throws Problem that names what would be lost, and the word that allows it
 */
export async function requireWholeBackup(
  settings: ServerSettings,
  live: string,
  manifest: Manifest | null,
): Promise<void> {
  const parts = manifest === null ? [] : leftOut(manifest);
  if (manifest?.dump === undefined || parts.length === 0) return;
  const lost = await lostBy(settings, live, manifest.dump);
  if (lost.length === 0) return;
  const more = lost.length > SHOWN ? ` and ${lost.length - SHOWN} more` : "";
  throw new Problem(
    `this backup is partial, without ${parts.join(", ")}, and would take the place of "${live}", which has ${lost.slice(0, SHOWN).join(", ")}${more}. Add --into NAME to restore it beside the live database, or --allow-incomplete to replace that all the same. Nothing was changed.`,
  );
}

async function lostBy(
  settings: ServerSettings,
  live: string,
  { tablesLeftOut, dataLeftOut, otherLeftOut }: NonNullable<Manifest["dump"]>,
): Promise<string[]> {
  const client = await connect(settings, live);
  try {
    const { rows } = await client.query<{ used: boolean }>(
      `SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                      WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_') AS used`,
    );
    // One that an image has just made has nothing to lose.
    if (rows[0]?.used !== true) return [];
    const lost: string[] = [];
    for (const table of tablesLeftOut) {
      if (await isThere(client, table)) lost.push(nameOf(table));
    }
    for (const table of dataLeftOut) {
      if ((await isThere(client, table)) && (await hasRows(client, table))) {
        lost.push(`rows in ${nameOf(table)}`);
      }
    }
    const others = Object.keys(otherLeftOut).filter((kind) => !WITHOUT_DATA.test(kind));
    return [...lost, ...others.map((kind) => `perhaps objects of the kind ${kind}`)];
  } finally {
    await client.end();
  }
}

async function isThere(client: pg.Client, { schema, name }: TableName): Promise<boolean> {
  const { rowCount } = await client.query(
    `SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p')`,
    [schema, name],
  );
  return rowCount !== 0;
}

/** A table that may not be looked into counts as one with rows. */
async function hasRows(client: pg.Client, { schema, name }: TableName): Promise<boolean> {
  try {
    const { rowCount } = await client.query(
      `SELECT FROM ${identifier(schema)}.${identifier(name)} LIMIT 1`,
    );
    return rowCount !== 0;
  } catch {
    return true;
  }
}

function nameOf({ schema, name }: TableName): string {
  return `${schema}.${name}`;
}
