import type pg from "pg";
import type { DatabaseProperties } from "../../../common/contracts/manifest.ts";
import type { ArchiveContents } from "../../archive/contents.ts";
import { connect, endingOnAbort } from "../../postgres/connection.ts";
import type { AgentContext } from "../../runtime/context.ts";
import { type RefusedItem, rehearse } from "../checks/rehearsal.ts";
import { createRestoreDatabase, dropRestoreDatabase, makeRoomForSchemas } from "../newDatabase.ts";

/** What a trial has shown. */
export interface Trial {
  /** What the server is certain to refuse. */
  readonly refused: readonly RefusedItem[];
  /** Numbers of the entries with rows for tables that were not made: they belong to an extension that was refused. */
  readonly otherTables: readonly number[];
}

/**
 * Tries the definitions of an archive in a database of its own, which is gone afterwards.
 * @throws Problem when the database cannot be made
 */
export async function tryDefinitions(
  { settings, signal, journal }: AgentContext,
  maintenance: pg.Client,
  {
    name,
    model,
    contents,
    without,
    role,
  }: {
    /** Name for the database. */
    readonly name: string;
    readonly model: DatabaseProperties | null;
    readonly contents: ArchiveContents;
    /** Numbers of entries that will not be restored. */
    readonly without: ReadonlySet<number>;
    /** The role that everything will belong to; null: as the archive has it, or the connection's. */
    readonly role: string | null;
  },
): Promise<Trial> {
  await createRestoreDatabase(maintenance, settings.postgres, name, model);
  journal?.stays(name, `the unfinished "${name}" is left`);
  try {
    const client = await connect(settings.postgres, name);
    return await endingOnAbort(client, signal, async () => {
      const there = await makeRoomForSchemas(client, contents);
      const refused = await rehearse(client, contents, new Set([...without, ...there]), role);
      return { refused, otherTables: await tablesWithoutDefinition(client, contents) };
    });
  } finally {
    await dropRestoreDatabase(maintenance, settings.postgres, name);
    journal?.tidied(name, "the unfinished database was dropped");
  }
}

/** Rows of an extension's own tables are in a dump, their definition is not: the extension makes them. */
async function tablesWithoutDefinition(
  client: pg.Client,
  { items }: ArchiveContents,
): Promise<number[]> {
  const defined = new Set(items.filter(({ type }) => type === "TABLE").map(({ oid }) => oid));
  const rows = items.filter(({ type, oid }) => type === "TABLE DATA" && !defined.has(oid));
  const sequences = items.filter(({ type }) => type === "SEQUENCE SET");
  if (rows.length === 0) return [];
  await client.query("RESET ROLE");
  const { rows: made } = await client.query<{ name: string }>(
    `SELECT n.nspname || ' ' || c.relname || ' ' AS name
     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'S')`,
  );
  const isMade = (text: string) => made.some(({ name }) => text.startsWith(name));
  return [
    ...rows.filter(({ name }) => !isMade(name)),
    ...sequences.filter(({ schema, name }) => !isMade(`${schema} ${name} `)),
  ].map(({ id }) => id);
}
