import { messageOf, Problem } from "../../common/problem.ts";
import { errorCode } from "../runtime/errorMessage.ts";

/** Why and when a connection that had worked was cut. */
export interface Cut {
  readonly at: Date;
  readonly openSeconds: number;
  readonly error: unknown;
}

/** The failure of whatever was asked of a connection that is gone. */
export class BrokenConnection extends Problem {}

/** What node-postgres says of a query on a connection that is gone. */
const GONE =
  /^(Client has encountered a connection error and is not queryable|Client was closed and is not queryable|Connection terminated( unexpectedly)?)$/;

/** Causes by code: https://www.postgresql.org/docs/17/errcodes-appendix.html, class 57, 25, 08; and what helps. */
const REMEDIES: Readonly<Record<string, string>> = {
  "25P03":
    "A setting of the server or a program ends idle transactions; the backup's own has it off.",
  "25P04": "A setting of the server ends long transactions; the backup's own has it off.",
  "57P05": "A setting of the server ends idle sessions; the backup's own has it off.",
  "57P01": "Somebody or a program ended it, or the server was shut down or restarted. Try again.",
  "57P02": "A process of the server crashed, and all connections with it: see its log. Try again.",
  "57P03": "The server is starting or shutting down. Try again when it runs.",
  "40001": standbyConflict(),
  ECONNRESET: "The server, or something between, closed it. See the server's log and try again.",
  EPIPE: "The server, or something between, closed it. See the server's log and try again.",
  ETIMEDOUT: "The host of the server did not answer any more. Check the network and try again.",
};

/** Whether a query failed because its connection was gone, or by what ended it. */
export function isGone(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof BrokenConnection) return true;
  const code = errorCode(error) ?? "";
  const fatal = (error as { severity?: unknown }).severity;
  return (
    GONE.test(error.message) || fatal === "FATAL" || fatal === "PANIC" || /^E[A-Z]+$/.test(code)
  );
}

/** The cut of a connection in a sentence: where, when, why, and what to do. */
export function brokenConnection(where: string, cut: Cut, error: unknown): Problem {
  const cause = cut.error ?? error;
  if (cause instanceof Problem) return cause;
  const time = `${cut.at.toISOString().slice(11, 19)} UTC`;
  const code = errorCode(cause) ?? "";
  const message = messageOf(cause);
  const known = GONE.test(message) ? "it closed it without a word" : message;
  const remedy =
    REMEDIES[code] ??
    "The server crashed, was restarted, or the network broke. See its log and try again.";
  return new BrokenConnection(
    `the connection to PostgreSQL at ${where} was cut at ${time}, ${cut.openSeconds} s after it was opened: ${known}. ${remedy}`,
    { cause },
  );
}

/** What helps a long dump on a standby: https://www.postgresql.org/docs/17/hot-standby.html#HOT-STANDBY-CONFLICT */
export function standbyConflict(): string {
  return "This server is a standby, and what its primary has cleaned up meanwhile was still needed. Set hot_standby_feedback = on there, or raise max_standby_streaming_delay (-1: wait for the backup), and reload it.";
}

/** Advice for the last words of pg_dump, pg_dumpall or pg_restore; empty where there is none. */
export function adviceFor(words: string): string {
  if (/conflict with recovery/.test(words)) return standbyConflict();
  if (/cannot execute .* (in a read-only transaction|during recovery)/.test(words))
    return readOnly();
  if (
    /invalid memory alloc request size|out of memory.*Cannot enlarge string buffer/s.test(words)
  ) {
    return "PostgreSQL sends a row as text of at most 1 GB, in which a bytea takes twice its size. Split the value, keep it as a large object, or leave out its table: --exclude-table-data=TABLE.";
  }
  return "";
}

/** The answer of a server as it is, or as a sentence with what helps. */
export function withAdvice(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const advice = adviceFor(error.message);
  if (advice === "") return error;
  return new Problem(`PostgreSQL answered: ${error.message}. ${advice}`, { cause: error });
}

function readOnly(): string {
  return "The server is a standby, or its settings forbid to write (default_transaction_read_only): restore on the primary.";
}
