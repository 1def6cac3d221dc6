import { leftOut } from "../../common/contracts/leftOut.ts";
import { totalRows } from "../../common/contracts/manifest.ts";
import { hostName } from "./alert.ts";
import type { DatabaseFailure, DatabaseResult } from "./runSummary.ts";

/** The JSON document that WEBHOOK_URL gets, one for each database of a run. */
export interface WebhookPayload {
  readonly version: 1;
  readonly event: "backup";
  readonly result: "ok" | "failed";
  /** Null: a run of every database of the server ended before it was known which there are. */
  readonly database: string | null;
  /** The host as Kamal knows it, else the container's own name. */
  readonly host: string;
  readonly durationMs: number;
  /** Absent when nothing was stored. */
  readonly stamp?: string;
  readonly key?: string;
  readonly bytes?: number;
  readonly rows?: number;
  /** What the options of pg_dump left out, e.g. `the table public.audits`; absent: nothing. */
  readonly leftOut?: readonly string[];
  /** What pg_dump and pg_dumpall warned of; absent: nothing. */
  readonly warnings?: readonly string[];
  /** Key in the second bucket; absent when no copy was made. */
  readonly copyKey?: string;
  readonly error?: string;
  /** Whatever failed in the same run, this database too; absent when nothing did. */
  readonly failures?: readonly DatabaseFailure[];
}

export function webhookPayload(
  { database, manifest, copy, error, durationMs }: DatabaseResult,
  failures: readonly DatabaseFailure[],
): WebhookPayload {
  const lacking = manifest ? leftOut(manifest) : [];
  const warnings = manifest?.dump?.warnings ?? [];
  return {
    version: 1,
    event: "backup",
    result: error === undefined ? "ok" : "failed",
    database,
    host: hostName(),
    durationMs,
    ...(manifest && {
      stamp: manifest.takenAt.replace(/Z$/, ""),
      key: manifest.object.key,
      bytes: manifest.object.bytes,
      rows: totalRows(manifest),
    }),
    ...(lacking.length > 0 && { leftOut: lacking }),
    ...(warnings.length > 0 && { warnings }),
    ...(copy && { copyKey: copy.object.key }),
    ...(error !== undefined && { error }),
    ...(failures.length > 0 && { failures }),
  };
}
