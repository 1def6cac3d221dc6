import * as z from "zod";

/** One statement of the user's SQL checks. It is a query that returns no row when all is well. */
const drillCheckSchema = z.object({
  /** What the check is called: the comment above the statement, or its first line. @example "no order without a customer" */
  name: z.string(),
  /** Line of the file on which the statement begins, from 1. */
  line: z.int().positive(),
  passed: z.boolean(),
  /** Rows that it returned: 0 of one that passed; null: the statement failed. */
  rows: z.int().nonnegative().nullable(),
  /** What the server said to a statement that failed; null: it ran. */
  error: z.string().nullable(),
});

/**
 * What a drill has found: a backup was restored into a throw-away server, compared with its manifest, and asked the user's
 * checks. Whoever ran it keeps the record in the bucket below the backups' prefix (`drillKey`). It carries a signature `mac` as
 * a manifest does, and expires by the rule that expires the longest kept backups.
 */
export const drillRecordSchema = z.object({
  version: z.literal(1),
  /** Exact name of the database that was backed up. */
  database: z.string(),
  /** The backup that was drilled; null: it ended before one was chosen. */
  backup: z
    .object({
      /** Time of the snapshot in UTC. @example "2026-11-24T03:15:02" */
      stamp: z.string(),
      /** Full key of the dump. */
      key: z.string(),
    })
    .nullable(),
  /**
   * `passed`: restored, equal to the manifest, every check passed, and within the RTO where one is declared. `failed`: one of
   * these is not so. `couldNotRun`: nothing is known of the backup, because a tool, a server or a key was missing. One that somebody
   * has stopped leaves no record. It is neither good news of the backup nor bad.
   */
  verdict: z.enum(["passed", "failed", "couldNotRun"]),
  /** Why it did not pass, in a sentence; null: it passed. */
  reason: z.string().nullable(),
  /** ISO 8601 in UTC with milliseconds. */
  startedAt: z.string(),
  /** From the first byte of the dump to the last; null: it was not read to its end. Loading goes on beside it. Milliseconds. */
  readMs: z.number().nullable(),
  /** From the empty database to its last statement, with the reading that it waits for; null: it was not loaded. Milliseconds. */
  loadMs: z.number().nullable(),
  /** What a restore takes: from the choice of the backup to the compared database; not the start of the server, nor the user's checks. Milliseconds. */
  totalMs: z.number(),
  /** Declared recovery time objective; null: none. Milliseconds. */
  rtoMs: z.number().nullable(),
  /** Whether `totalMs` is within it; null: none is declared, or the restore did not end. */
  rtoMet: z.boolean().nullable(),
  /** Tables that were compared with the manifest. */
  tables: z.int().nonnegative(),
  /** Rows in them. */
  rows: z.int().nonnegative(),
  /** False: the backup has no manifest to compare with, or the drill did not come that far. */
  compared: z.boolean(),
  /** The user's checks, in the order of their file. */
  checks: z.array(drillCheckSchema),
  /** Major version of the server that it was restored into; null: none ran. */
  serverMajor: z.int().nullable(),
  /** The major version that was rehearsed instead of the backup's own; null: its own. */
  upgradeTo: z.int().nullable(),
  /** `here`: on the machine of an operator or of CI. `agent`: in the backup's own container, by its schedule. */
  where: z.enum(["here", "agent"]),
  /** Public key (`age1...`) whose private half has opened the backup; null: a passphrase, a backup in clear, or none has. */
  openedWith: z.string().nullable(),
});

export type DrillRecord = z.infer<typeof drillRecordSchema>;
export type DrillCheck = DrillRecord["checks"][number];
