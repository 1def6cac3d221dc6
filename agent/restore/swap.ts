import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { Problem } from "../../common/problem.ts";
import { identifier, literal } from "../postgres/identifiers.ts";
import { errorCode } from "../runtime/errorMessage.ts";
import { readProperties } from "./databaseProperties.ts";

const ATTEMPTS = 3;
const CUT_EVERY_MS = 100;

export interface SwapNames {
  /** The restored database. */
  readonly fresh: string;
  /** The name that it gets. */
  readonly target: string;
  /** The name that the database which has that name today gets instead; null when nothing has it. */
  readonly live: { readonly before: string } | null;
  /** Comment of the database that takes the name. */
  readonly comment: string | null;
}

/**
 * Gives the restored database its name, in one transaction: either both names have changed or neither, also when this
 * process is killed in the middle. RENAME itself keeps new connections waiting from its first moment on; `cutter` ends
 * the open ones until it gets through.
 * @param mover connection to a maintenance database
 * @param cutter another one
 * @returns number of connections closed
 * @throws Problem when sessions cannot be ended; both databases then have their old names
 */
export async function swap(mover: pg.Client, cutter: pg.Client, names: SwapNames): Promise<number> {
  const fresh = await readProperties(cutter, names.fresh);
  let closed = 0;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await mover.query("BEGIN");
      if (names.live !== null) {
        closed += await renameCutting(mover, cutter, names.target, names.live.before);
      }
      await renameCutting(mover, cutter, names.fresh, names.target);
      const { comment } = names;
      await mover.query(
        `COMMENT ON DATABASE ${identifier(names.target)} IS ${comment === null ? "NULL" : literal(comment)}`,
      );
      await mover.query("COMMIT");
      return closed;
    } catch (error) {
      await mover.query("ROLLBACK").catch(() => {});
      // The connection may have broken after the commit took effect: the catalog knows.
      const now = await readProperties(cutter, names.target);
      if (now !== null && now.oid === fresh?.oid) return closed;
      // 55006: still in use after the five seconds that RENAME waits.
      if (errorCode(error) === "55006" && attempt < ATTEMPTS) continue;
      throw explainSwap(error, names.target);
    }
  }
}

async function renameCutting(mover: pg.Client, cutter: pg.Client, from: string, to: string) {
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
      closed += await endSessions(cutter, from);
    } catch (error) {
      refused = error;
    }
    if (!done) await sleep(CUT_EVERY_MS);
  }
  try {
    await rename;
  } catch (error) {
    throw refused ?? error;
  }
  return closed;
}

async function endSessions(cutter: pg.Client, database: string): Promise<number> {
  const { rows } = await cutter.query<{ ended: boolean }>(
    `SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
     WHERE datname = $1 AND pid <> pg_backend_pid() AND backend_type IN ('client backend', 'walsender')`,
    [database],
  );
  return rows.filter(({ ended }) => ended).length;
}

function explainSwap(error: unknown, target: string): unknown {
  const message = error instanceof Error ? error.message : String(error);
  const kept = `"${target}" keeps its old content and name`;
  if (errorCode(error) === "55006") {
    return new Problem(
      `the restored database could not take the name "${target}" because sessions kept it in use (${message}); ${kept}. Stop the application (kamal app stop) and restore again.`,
    );
  }
  if (errorCode(error) === "42501") {
    return new Problem(
      `the role may not finish the swap (${message}); ${kept}. It must own the database, have CREATEDB, and be a member of pg_signal_backend to end other roles' sessions; or use a superuser.`,
    );
  }
  return new Problem(`the swap failed: ${message}; ${kept}.`, { cause: error });
}
