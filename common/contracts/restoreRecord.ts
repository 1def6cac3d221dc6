import * as z from "zod";

/** What a restore or an undo did, or tried: kept in the bucket below the backups' prefix, and read by `history`. */
export const restoreRecordSchema = z.object({
  version: z.literal(1),
  action: z.enum(["restore", "undo"]),
  /** Name that the restored database got, or was to get. */
  database: z.string(),
  /** `stopped`: from outside, before it was complete. */
  result: z.enum(["done", "failed", "stopped"]),
  /** Stamp of the backup; of an undo the name that the database had; where it was not chosen yet, what was asked for. */
  from: z.string(),
  /** Name under which the replaced database stays; null: none was replaced. */
  previous: z.string().nullable(),
  /**
   * System identifier of the server that a restore has filled, which the next backup then knows. Absent of an undo, and in records
   * of earlier versions; null: the role may not ask for it.
   */
  server: z.string().nullish(),
  /** The sentence with which it failed; null: it is done. */
  error: z.string().nullable(),
  /** ISO 8601 in UTC. */
  startedAt: z.string(),
  elapsedMs: z.number(),
});

export type RestoreRecord = z.infer<typeof restoreRecordSchema>;
