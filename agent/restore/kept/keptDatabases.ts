import type pg from "pg";
import type { AgentSettings } from "../../../common/contracts/agentEnvironment/environment.ts";
import type { KeptDatabase } from "../../../common/contracts/agentEvents.ts";
import { formatBytes } from "../../../common/format.ts";
import { Problem } from "../../../common/problem.ts";
import { takeRestoreLock } from "../../postgres/advisoryLock.ts";
import { connectMaintenance } from "../../postgres/connection.ts";
import { identifier, siblingName } from "../../postgres/identifiers.ts";
import { type Confirm, NotConfirmed } from "../../runtime/confirm.ts";
import { type AgentContext, uninterrupted } from "../../runtime/context.ts";
import { UNFINISHED } from "../newDatabase.ts";
import { dropTime } from "./dropTime.ts";
import { undoCommand } from "./undo.ts";

/** The names that restores give: the first part may be cut, see `siblingName`. */
const FORM = /_(before|undone|restore)_(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)$/;

interface Row {
  readonly name: string;
  readonly comment: string | null;
  readonly bytes: string | null;
  readonly sessions: number;
}

/** One database that restores have left, as the server has it. */
export interface LeftDatabase extends KeptDatabase {
  readonly comment: string | null;
}

/**
 * The databases of the settings that restores have left on the server: replaced ones that are kept, and unfinished ones.
 * Anything else whose name merely looks so is somebody's own.
 * @param client connection to any database of the server
 */
export async function listKept(
  client: pg.Client,
  settings: Pick<AgentSettings, "databases" | "postgres">,
): Promise<LeftDatabase[]> {
  // A role that may not connect to a database may not ask for its size either (dbsize.c of PostgreSQL 17).
  const { rows } = await client.query<Row>(
    `SELECT d.datname AS name, shobj_description(d.oid, 'pg_database') AS comment,
       CASE WHEN has_database_privilege(d.oid, 'CONNECT') OR pg_has_role('pg_read_all_stats', 'USAGE')
         THEN pg_database_size(d.oid) END AS bytes,
       (SELECT count(*)::int FROM pg_stat_activity a WHERE a.datid = d.oid) AS sessions
     FROM pg_database d ORDER BY d.datname`,
  );
  const all = rows.map(({ name }) => name);
  return rows.flatMap((row) => {
    const [suffix, word, ...time] = FORM.exec(row.name) ?? [];
    if (suffix === undefined) return [];
    const [year, month, day, hour, minute, second] = time;
    const unfinished = word === "restore";
    // One that is restored under another name is no database of the settings; its comment tells.
    const ours =
      unfinished && row.comment === UNFINISHED ? [row.name.slice(0, -suffix.length)] : [];
    const database = candidates(settings, all, row.name.slice(0, -suffix.length)).find(
      (each) => siblingName(each, word as "before", suffix.slice(-15)) === row.name,
    );
    const of = database ?? ours[0];
    if (of === undefined) return [];
    return [
      {
        name: row.name,
        database: of,
        kind: unfinished ? ("unfinished" as const) : (word as "before" | "undone"),
        stamp: `${year}-${month}-${day}T${hour}:${minute}:${second}`,
        bytes: row.bytes === null ? null : Number(row.bytes),
        sessions: row.sessions,
        undo: unfinished ? null : undoCommand(row.name),
        comment: row.comment,
        dropAfter: dropTime(row.comment),
      },
    ];
  });
}

function candidates(
  { databases, postgres }: Pick<AgentSettings, "databases" | "postgres">,
  onServer: readonly string[],
  stripped: string,
): readonly string[] {
  const named = databases === "all" ? [...onServer, stripped] : databases;
  return postgres.database === "" ? named : [...named, postgres.database];
}

/** The same, over a connection of its own, as it is reported. */
export async function readKept({
  settings,
}: Pick<AgentContext, "settings">): Promise<KeptDatabase[]> {
  const client = await connectMaintenance(settings.postgres, "");
  try {
    return (await listKept(client, settings)).map(({ comment: _, ...one }) => one);
  } finally {
    await client.end();
  }
}

/** Reports what restores have left. */
export async function printKept(context: AgentContext): Promise<void> {
  const { report } = context;
  const databases = await readKept(context);
  report.event({ event: "kept", databases });
  if (databases.length === 0) report.line("No restore has left a database here.");
  for (const one of databases) report.line(describe(one));
}

function describe({ name, kind, bytes, undo }: KeptDatabase): string {
  const size = bytes === null ? "size not known" : formatBytes(bytes);
  const words = { before: "replaced", undone: "undone", unfinished: "unfinished restore" };
  return `  ${name}  ${size.padStart(8)}  ${words[kind]}${undo === null ? "" : `; to swap back: agent ${undo}`}`;
}

/**
 * Drops one database that a restore has left.
 * @param confirm asked before; resolves to false to give up
 * @throws Problem for any other name, for one that is in use, and for the only one that is left
 */
export async function dropKept(
  context: AgentContext,
  name: string,
  confirm: Confirm,
): Promise<void> {
  const { settings, report, signal } = context;
  const client = await connectMaintenance(settings.postgres, name);
  try {
    // An unfinished one may be that of a restore that is running.
    await takeRestoreLock(client);
    const found = await listKept(client, settings);
    const one = found.find((each) => each.name === name);
    if (one === undefined) throw notKept(name, found);
    if (one.kind !== "unfinished") await requireLive(client, one);
    if (one.sessions > 0) {
      throw new Problem(
        `"${name}" is in use by ${one.sessions} ${one.sessions === 1 ? "session" : "sessions"}, so it was not dropped. End them first.`,
      );
    }
    const size = one.bytes === null ? "" : ` (${formatBytes(one.bytes)})`;
    if (!(await confirm(`Drop "${name}"${size} for good?`, name))) {
      throw new NotConfirmed();
    }
    signal.throwIfAborted();
    await uninterrupted(context, () => client.query(`DROP DATABASE ${identifier(name)}`)).catch(
      (error: Error) => {
        throw new Problem(`"${name}" could not be dropped: ${error.message}.`, { cause: error });
      },
    );
    report.line(`Dropped "${name}"${size}.`);
    report.event({ event: "dropped", name, database: one.database, bytes: one.bytes });
  } finally {
    await client.end();
  }
}

/** Without the live one it may be all that is left of the data. */
export async function requireLive(
  client: pg.Client,
  { name, database }: KeptDatabase,
): Promise<void> {
  const { rowCount } = await client.query("SELECT FROM pg_database WHERE datname = $1", [database]);
  if (rowCount !== 0) return;
  throw new Problem(
    `there is no database "${database}" on this server, so "${name}" may be all that is left of it and was not dropped. Swap it back with undo, or drop it with psql if that is meant.`,
  );
}

function notKept(name: string, found: readonly KeptDatabase[]): Problem {
  const names = found.map((each) => `"${each.name}"`).join(", ");
  return new Problem(
    `"${name}" is no database that a restore has left, so it was not dropped. ${names === "" ? "There is none." : `Those are: ${names}.`}`,
  );
}
