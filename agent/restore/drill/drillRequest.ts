import * as z from "zod";
import type { AgeSecrets } from "../../../common/age/stanzas.ts";
import { Problem } from "../../../common/problem.ts";
import { readSecrets } from "../../runtime/secrets.ts";
import { maskStatements } from "./mask.ts";
import { type SqlStatement, splitStatements } from "./sqlStatements.ts";

/** What a drill is given on standard input: neither private keys nor the user's SQL belong on a command line. */
const requestSchema = z.strictObject({
  /** Lines with age identities; absent: the settings alone open the backup, or it is in clear. */
  identities: z.string().optional(),
  /** Content of the file with the SQL checks; absent: none. */
  checks: z.string().optional(),
  /** Content of the file with the SQL that masks; absent: the data stays as it is. */
  mask: z.string().optional(),
});

export interface DrillRequest {
  readonly secrets: AgeSecrets;
  readonly checks: readonly SqlStatement[];
  /** Run in one transaction on the restored database, before the checks. */
  readonly mask: readonly SqlStatement[];
}

/**
 * Reads the request, one line of JSON.
 * @param env as of `readSecrets`
 * @throws Problem when it is none, holds no valid identity, or its SQL is no query or has a quote without an end
 */
export async function readDrillRequest(
  env: Readonly<Record<string, string | undefined>>,
  input: Promise<string>,
): Promise<DrillRequest> {
  const { identities, checks, mask } = parsed(await input);
  return {
    secrets: await readSecrets(
      env,
      identities === undefined ? undefined : Promise.resolve(identities),
    ),
    checks: checks === undefined ? [] : statementsOf(checks),
    mask: mask === undefined ? [] : maskStatements(mask),
  };
}

/** @throws Problem when there is none: a drill that asked nothing would pass as one whose checks did */
function statementsOf(checks: string): SqlStatement[] {
  const statements = splitStatements(checks, "the checks");
  if (statements.length > 0) return statements;
  throw new Problem("the file of checks holds comments alone. Write a query below its comment.");
}

function parsed(text: string): z.infer<typeof requestSchema> {
  try {
    return requestSchema.parse(JSON.parse(text));
  } catch {
    // What stands there may be a private key, so it is not repeated.
    throw new Problem(
      "standard input holds no request for a drill. Run kamal-postgres-backup drill, which sends one.",
    );
  }
}
