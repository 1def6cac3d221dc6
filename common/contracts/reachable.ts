import * as z from "zod";
import { aliveSchema, baseSchema, chainSchema } from "./pointInTime.ts";

/** Moments that one chain can bring back, each of them. */
export const windowSchema = z.object({
  chain: z.string(),
  /** End of the oldest base that counts. ISO 8601 in UTC by the server's clock. */
  from: z.string(),
  /** The newest moment that may be reached: when the newest part of its WAL was stored, or a mark of life says so. */
  to: z.string(),
  /**
   * Until then it is proved by a mark of the server that all of the WAL is there, also where nothing was written; null: by
   * none.
   */
  proven: z.string().nullable(),
  /** Stamps of the bases that count, in their order. */
  bases: z.array(z.string()).readonly(),
});
export type Window = z.infer<typeof windowSchema>;

/** Segments that a chain lacks, by their names. */
export const gapSchema = z.object({
  chain: z.string(),
  first: z.string(),
  last: z.string(),
  segments: z.int(),
});
export type Gap = z.infer<typeof gapSchema>;

/** What a recovery takes from the bucket. */
export const recoveryPlanSchema = z.object({
  /** ISO 8601 in UTC, or `latest`. */
  moment: z.string(),
  chain: chainSchema,
  /** The base, and those beneath it; the whole one first. */
  bases: z.array(baseSchema).readonly(),
  /** Number of segments that are replayed. */
  segments: z.int(),
  /** Where the WAL ends that is taken. */
  endLsn: z.string(),
  /** Its end is known to be the state of the moment, should nothing be written there after it. */
  isProven: z.boolean(),
  /** What the recovered cluster and its WAL take on disk, about. Bytes. */
  diskBytes: z.number(),
});
export type RecoveryPlan = z.infer<typeof recoveryPlanSchema>;

/** What can be recovered from the bucket, as whoever reads it reports it. */
export const reachableSchema = z.object({
  /** In the order of their beginnings. Those of different chains may overlap. */
  windows: z.array(windowSchema).readonly(),
  gaps: z.array(gapSchema).readonly(),
  /** The newest mark of life; null: there is none. */
  alive: aliveSchema.nullable(),
  /** The newest base that counts; null: there is none. */
  newestBase: z.object({ stamp: z.string(), endedAt: z.string() }).nullable(),
  /** For the moment that was asked about; null: none was, or it cannot be recovered. */
  plan: recoveryPlanSchema.nullable(),
});
export type Reachable = z.infer<typeof reachableSchema>;
