import { messageOf, Problem } from "../../../common/problem.ts";
import { connect, endingOnAbort, lossOf } from "../../postgres/connection.ts";
import type { AgentContext } from "../../runtime/context.ts";
import { USUAL_PATH } from "./searchPath.ts";
import { type SqlStatement, splitStatements } from "./sqlStatements.ts";

/** What would end the one transaction, or nest another. */
const TRANSACTION =
  /^(?:begin|start\s+transaction|commit|end|rollback|abort|prepare\s+transaction)\b/i;

/**
 * The statements of a file that masks.
 * @throws Problem when there is none, one would end the transaction, or a quote has no end
 */
export function maskStatements(text: string): SqlStatement[] {
  const statements = splitStatements(text, "the mask");
  if (statements.length === 0) {
    throw new Problem("the mask holds comments alone, so it would change nothing.");
  }
  const own = statements.find(({ sql }) => TRANSACTION.test(sql));
  if (own === undefined) return statements;
  throw new Problem(
    `line ${own.line} of the mask (${own.name}) ends or begins a transaction. The whole mask runs in one: take the statement out.`,
  );
}

/**
 * Masks the restored database, all or nothing.
 * @throws Problem with the line that failed
 */
export async function mask(
  { settings, signal }: AgentContext,
  database: string,
  statements: readonly SqlStatement[],
  onStatement: (done: number) => void,
): Promise<void> {
  const client = await connect(settings.postgres, database);
  await endingOnAbort(client, signal, async () => {
    await client.query(USUAL_PATH);
    await client.query("BEGIN");
    let at = "its end";
    try {
      for (const [index, { sql, line, name }] of statements.entries()) {
        at = `line ${line} (${name})`;
        await client.query(sql);
        onStatement(index + 1);
      }
      // Constraints that are checked late are checked here.
      at = "its end";
      await client.query("COMMIT");
    } catch (error) {
      throw lossOf(client) ?? new Problem(`the mask failed at ${at}: ${messageOf(error)}.`);
    }
  });
}
