import type pg from "pg";
import type { DrillCheck } from "../../../common/contracts/drillRecord.ts";
import { messageOf } from "../../../common/problem.ts";
import { connect, endingOnAbort, lossOf } from "../../postgres/connection.ts";
import type { AgentContext } from "../../runtime/context.ts";
import { errorCode } from "../../runtime/errorMessage.ts";
import { USUAL_PATH } from "./searchPath.ts";
import type { SqlStatement } from "./sqlStatements.ts";

/** Longest time that one check may take. */
const LIMIT_MS = 10 * 60_000;

/**
 * Runs the user's checks on the restored database, one after the other, each in a transaction that can change nothing. A check
 * passes when it returns no row. Only the number of its rows is taken: what they hold may be anybody's data.
 * @throws Problem when the server is gone
 */
export async function runChecks(
  { settings, signal }: AgentContext,
  database: string,
  statements: readonly SqlStatement[],
  onCheck: (done: number) => void,
): Promise<DrillCheck[]> {
  if (statements.length === 0) return [];
  const client = await connect(settings.postgres, database);
  return endingOnAbort(client, signal, async () => {
    const checks: DrillCheck[] = [];
    await client.query(USUAL_PATH);
    for (const statement of statements) {
      checks.push(await runCheck(client, statement));
      const loss = lossOf(client);
      if (loss !== undefined) throw loss;
      onCheck(checks.length);
    }
    return checks;
  });
}

async function runCheck(client: pg.Client, { name, line, sql }: SqlStatement): Promise<DrillCheck> {
  try {
    await client.query("BEGIN READ ONLY");
    await client.query(`SET LOCAL statement_timeout = ${LIMIT_MS}`);
    // A cursor takes a query and nothing else, and its rows are counted where they are: there may be millions.
    await client.query(`DECLARE "check" NO SCROLL CURSOR FOR\n${sql}`);
    const { rowCount } = await client.query('MOVE FORWARD ALL FROM "check"');
    const rows = rowCount ?? 0;
    return { name, line, passed: rows === 0, rows, error: null };
  } catch (error) {
    return { name, line, passed: false, rows: null, error: explained(error) };
  } finally {
    await client.query("ROLLBACK").catch(() => {});
  }
}

function explained(error: unknown): string {
  const message = messageOf(error);
  // query_canceled: nobody else is on this server.
  if (errorCode(error) === "57014") return `it took longer than ${LIMIT_MS / 60_000} minutes`;
  return message;
}
