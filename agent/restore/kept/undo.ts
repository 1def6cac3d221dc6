import type pg from "pg";
import type { AgentSettings } from "../../../common/contracts/agentEnvironment/environment.ts";
import { Problem } from "../../../common/problem.ts";
import { requireNoBackup, takeRestoreLock } from "../../postgres/advisoryLock.ts";
import { connectMaintenance } from "../../postgres/connection.ts";
import { readProperties } from "../../postgres/databaseProperties.ts";
import { siblingName } from "../../postgres/identifiers.ts";
import { type Confirm, NotConfirmed } from "../../runtime/confirm.ts";
import { type AgentContext, uninterrupted } from "../../runtime/context.ts";
import { findLostWorkers, isWorker, readOccupants } from "../checks/occupants.ts";
import { freeName } from "../properties/databaseProperties.ts";
import { swap } from "../swap.ts";
import { withoutDropMark } from "./dropTime.ts";

/** What has taken a database's place and was replaced by an undo can come back as well. */
const FORM = /_(before|undone)_(\d{8}T\d{6})$/;

/** The command that gives a database its name back, as one pastes it behind the program's name. */
export function undoCommand(name: string): string {
  const word = /^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", `'\\''`)}'`;
  // A name may look like an option.
  return name.startsWith("-") ? `undo -- ${word}` : `undo ${word}`;
}

/**
 * Swaps a database that a restore, or an undo, has replaced back into its place; the one that has the name now stays under another.
 * Which one that is stands in the name itself.
 * @param name as the restore has given it, `shop_before_20261124T102110`
 * @param confirm asked before anything is changed; resolves to false to give up
 * @throws Problem for any other name, and when sessions cannot be ended; then nothing has changed
 */
export async function undo(context: AgentContext, name: string, confirm: Confirm): Promise<void> {
  const { settings, report, signal } = context;
  const started = performance.now();
  const database = replacedBy(settings, name);
  const maintenance = await connectMaintenance(settings.postgres, database);
  try {
    await takeRestoreLock(maintenance);
    const old = await requireKept(maintenance, name, database);
    const live = await readProperties(maintenance, database);
    if (live !== null) await requireNoBackup(maintenance, database);
    const previous =
      live === null ? null : await freeName(maintenance, database, "undone", new Date());
    report.line(`"${name}" becomes "${database}" again.`);
    if (previous !== null) report.line(`The current database stays as "${previous}".`);
    if (!(await confirm(`Swap "${name}" back?`, database))) {
      throw new NotConfirmed();
    }
    const sessionEnder = await connectMaintenance(settings.postgres, database);
    try {
      const workers = (await readOccupants(sessionEnder, database)).filter(isWorker);
      // The last moment: a swap that has begun is not cut in two.
      signal.throwIfAborted();
      const closed = await uninterrupted(context, () =>
        swap(maintenance, sessionEnder, {
          temporaryName: name,
          database: database,
          live: previous === null ? null : { previousName: previous },
          comment: withoutDropMark(old.comment),
        }),
      );
      report.line(`Swapped; ${closed} connections were closed.`);
      for (const worker of await findLostWorkers(sessionEnder, workers)) report.warn(`${worker}.`);
    } finally {
      await sessionEnder.end();
    }
    const elapsedMs = Math.round(performance.now() - started);
    report.event({ event: "undone", database, from: name, previous, elapsedMs });
  } finally {
    await maintenance.end();
  }
}

/** The database that the name was made of; of none of the settings' ones: the first, to be refused by its name. */
export function replacedBy({ databases, postgres }: AgentSettings, name: string): string {
  // A long name is cut, so that only the settings have it whole.
  const candidates =
    databases === "all" ? [name.replace(FORM, ""), postgres.database] : [...databases];
  return candidates.find((database) => isKept(name, database)) ?? postgres.database;
}

function isKept(name: string, database: string): boolean {
  const [, word, stamp] = FORM.exec(name) ?? [];
  return stamp !== undefined && siblingName(database, word as "before" | "undone", stamp) === name;
}

/** Only a name that a restore of this very database has made: anything else may be somebody's live database. */
async function requireKept(maintenance: pg.Client, name: string, database: string) {
  if (!isKept(name, database)) {
    throw new Problem(
      `"${name}" is no name that a restore of "${database}" leaves. ${await keptNames(maintenance, database)}`,
    );
  }
  const properties = await readProperties(maintenance, name);
  if (properties !== null) return properties;
  throw new Problem(
    `there is no database "${name}" on this server. ${await keptNames(maintenance, database)}`,
  );
}

async function keptNames(maintenance: pg.Client, database: string): Promise<string> {
  const { rows } = await maintenance.query<{ datname: string }>(
    "SELECT datname FROM pg_database WHERE datname ~ $1 ORDER BY datname DESC",
    [FORM.source],
  );
  const kept = rows.map(({ datname }) => datname).filter((name) => isKept(name, database));
  if (kept.length === 0) return `No earlier "${database}" is kept there.`;
  return `Kept there: ${kept.map((name) => `"${name}"`).join(", ")}.`;
}
