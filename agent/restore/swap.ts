import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { messageOf, Problem } from "../../common/problem.ts";
import { readProperties } from "../postgres/databaseProperties.ts";
import { identifier, literal } from "../postgres/identifiers.ts";
import { errorCode } from "../runtime/errorMessage.ts";
import { describeOccupant, isWorker, readOccupants } from "./checks/occupants.ts";

const ATTEMPTS = 3;
const END_SESSIONS_EVERY_MS = 100;

export interface SwapNames {
  /** The restored database. */
  readonly temporaryName: string;
  /** The name that it gets. */
  readonly database: string;
  /** The name that the database which has that name today gets instead; null when nothing has it. */
  readonly live: { readonly previousName: string } | null;
  /** Comment of the database that takes the name. */
  readonly comment: string | null;
}

/**
 * Gives the restored database its name, in one transaction: either both names have changed or neither, also when this
 * process is killed in the middle. RENAME itself keeps new connections waiting from its first moment on; `sessionEnder` ends
 * the open ones until it gets through. Whoever has waited for the old name is refused once, with 3D000 "It seems to have just
 * been dropped or renamed" (InitPostgres, utils/init/postinit.c of PostgreSQL 17), and gets in at the next try.
 * @param mover connection to a maintenance database
 * @param sessionEnder another one
 * @returns number of connections closed
 * @throws Problem when sessions cannot be ended; both databases then have their old names
 */
export async function swap(
  mover: pg.Client,
  sessionEnder: pg.Client,
  names: SwapNames,
): Promise<number> {
  const restored = await readProperties(sessionEnder, names.temporaryName);
  let closed = 0;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await mover.query("BEGIN");
      if (names.live !== null) {
        closed += await renameClosingSessions(
          mover,
          sessionEnder,
          names.database,
          names.live.previousName,
        );
      }
      await renameClosingSessions(mover, sessionEnder, names.temporaryName, names.database);
      const { comment } = names;
      await mover.query(
        `COMMENT ON DATABASE ${identifier(names.database)} IS ${comment === null ? "NULL" : literal(comment)}`,
      );
      await mover.query("COMMIT");
      return closed;
    } catch (error) {
      await mover.query("ROLLBACK").catch(() => {});
      // The connection may have broken after the commit took effect: the catalog knows.
      const current = await readProperties(sessionEnder, names.database).catch((lost: unknown) => {
        throw unknownOutcome(lost, names);
      });
      if (current !== null && current.oid === restored?.oid) return closed;
      // 55006: still in use after the five seconds that RENAME waits.
      if (errorCode(error) === "55006" && attempt < ATTEMPTS) continue;
      throw await explainSwap(error, names.database, sessionEnder);
    }
  }
}

/** Nobody can be asked any more, and a commit may have taken effect although its answer did not come. */
function unknownOutcome(lost: unknown, { database, temporaryName, live }: SwapNames): Problem {
  const message = messageOf(lost);
  const sign =
    live === null
      ? `whether "${database}" or "${temporaryName}" is there`
      : `whether "${live.previousName}" is there: if it is, it is the old database, and "${database}" the restored one`;
  return new Problem(
    `the server was lost in the middle of the swap, so it is not known whether that took effect. ${message} When the server answers again, look ${sign}; either way one of them is whole.`,
    { cause: lost },
  );
}

async function renameClosingSessions(
  mover: pg.Client,
  sessionEnder: pg.Client,
  from: string,
  to: string,
) {
  let done = false;
  const rename = mover
    .query(`ALTER DATABASE ${identifier(from)} RENAME TO ${identifier(to)}`)
    .finally(() => {
      done = true;
    });
  // Its failure is awaited below, after the loop that runs beside it.
  rename.catch(() => {});
  let closed = 0;
  let refused: unknown;
  while (!done && refused === undefined) {
    try {
      closed += await endSessions(sessionEnder, from);
    } catch (error) {
      refused = error;
    }
    if (!done) await sleep(END_SESSIONS_EVERY_MS);
  }
  try {
    await rename;
  } catch (error) {
    throw refused ?? error;
  }
  return closed;
}

/**
 * All but workers of autovacuum, which RENAME ends by itself: a worker of an extension too, which waits where it comes
 * back, as every new session does. The kind is null where the role may not see it.
 */
async function endSessions(client: pg.Client, database: string): Promise<number> {
  const { rows } = await client.query<{ ended: boolean }>(
    `SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
     WHERE datname = $1 AND pid <> pg_backend_pid() AND coalesce(backend_type, '') <> 'autovacuum worker'`,
    [database],
  );
  return rows.filter(({ ended }) => ended).length;
}

async function explainSwap(error: unknown, database: string, client: pg.Client): Promise<unknown> {
  const message = messageOf(error);
  const kept = `"${database}" keeps its old content and name`;
  if (errorCode(error) === "55006") {
    const occupants = await readOccupants(client, database).catch(() => []);
    const held =
      occupants.length === 0 ? message : `in use by ${occupants.map(describeOccupant).join(", ")}`;
    const remedy = occupants.every(isWorker)
      ? "Stop what starts them, then restore again."
      : "Stop the application (kamal app stop) and restore again.";
    return new Problem(
      `the restored database could not take the name "${database}": it stayed ${held}; ${kept}. ${remedy}`,
    );
  }
  if (errorCode(error) === "42501") {
    return new Problem(`the role may not finish the swap (${message}); ${kept}.`);
  }
  // 3D000: no such database.
  if (errorCode(error) === "3D000") {
    return new Problem(
      `"${database}" was renamed or dropped while the restore ran, so nothing was put in its place. Look which databases there are, then restore again.`,
      { cause: error },
    );
  }
  return new Problem(`the swap failed: ${message}; ${kept}.`, { cause: error });
}
