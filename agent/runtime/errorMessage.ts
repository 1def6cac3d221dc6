import { Problem } from "../../common/problem.ts";

/** A failure in one sentence, for a person. */
export function errorMessage(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof Problem) return error.message;
  const code = errorCode(error);
  if (code?.length === 5) return `PostgreSQL answered: ${error.message} (${code}).`;
  return `unexpected ${error.name}: ${error.message || "no message"} (run again with --debug to see where)`;
}

/** Code of a PostgreSQL or system error, e.g. `28P01`, `ECONNREFUSED`. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}
