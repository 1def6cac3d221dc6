import type pg from "pg";
import type { ArchiveContents } from "../../archive/contents.ts";
import { connect } from "../../postgres/connection.ts";
import { identifier } from "../../postgres/identifiers.ts";
import type { AgentContext } from "../../runtime/context.ts";
import type { NotRestored } from "../notRestored.ts";

/**
 * Notes the logical replication slots of a database that will be replaced: they stay with it, so that their consumers find
 * none in the new one, and keep write-ahead log until the disk is full.
 * @param previousName the name that it will have then
 */
export async function noteSlots(
  client: pg.Client,
  { database, previousName }: { readonly database: string; readonly previousName: string },
  notRestored: NotRestored,
): Promise<void> {
  const { rows } = await client.query<{ name: string; plugin: string }>(
    `SELECT slot_name::text AS name, plugin::text AS plugin FROM pg_replication_slots
     WHERE database = $1 AND NOT temporary ORDER BY 1`,
    [database],
  );
  for (const { name, plugin } of rows) {
    const quoted = `'${name}'`;
    notRestored.add(
      `the replication slot "${name}": it stays with the replaced database, and keeps write-ahead log until the disk is full. Drop it in "${previousName}" (SELECT pg_drop_replication_slot(${quoted})), make it again in "${database}" (SELECT pg_create_logical_replication_slot(${quoted}, '${plugin}')), and let its consumer begin anew`,
    );
  }
}

/** `slot_name = 'x'` of CREATE SUBSCRIPTION; NONE stands there without quotes. */
const SLOT = /slot_name = '((?:[^']|'')*)'/;

/** Subscriptions that an archive makes: their names, and the slots on their publishers. */
function subscriptionsOf(contents: ArchiveContents | undefined, leftOut: ReadonlySet<number>) {
  return (contents?.items ?? [])
    .filter(({ id, type }) => type === "SUBSCRIPTION" && !leftOut.has(id))
    .map(({ name, sql }) => ({ name, slot: SLOT.exec(sql)?.[1]?.replaceAll("''", "'") }));
}

/**
 * Notes the subscriptions that come up disabled, as pg_dump writes all of them.
 * @param beside the database is restored beside the one that still uses their slots
 */
export function noteSubscriptions(
  contents: ArchiveContents | undefined,
  leftOut: ReadonlySet<number>,
  { beside, notRestored }: { readonly beside: boolean; readonly notRestored: NotRestored },
): void {
  for (const { name, slot } of subscriptionsOf(contents, leftOut)) {
    const state = `that the subscription "${name}" is enabled: it comes up disabled`;
    if (slot === undefined) {
      notRestored.add(`${state}, and without a slot on its publisher`);
    } else if (beside) {
      notRestored.add(
        `${state}, and without the slot "${slot}" on its publisher, which the original uses`,
      );
    } else {
      notRestored.add(
        `${state}. Once nothing else uses the slot "${slot}" on its publisher: ALTER SUBSCRIPTION ${identifier(name)} ENABLE`,
      );
    }
  }
}

/** Takes the slots' names from the subscriptions of a database that is restored beside the original. */
export async function detachSubscriptions(
  { settings }: AgentContext,
  database: string,
): Promise<void> {
  const client = await connect(settings.postgres, database);
  try {
    const { rows } = await client.query<{ name: string }>(
      `SELECT s.subname AS name FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
       WHERE d.datname = current_database() AND s.subslotname IS NOT NULL AND NOT s.subenabled`,
    );
    for (const { name } of rows) {
      await client.query(`ALTER SUBSCRIPTION ${identifier(name)} SET (slot_name = NONE)`);
    }
  } finally {
    await client.end();
  }
}
