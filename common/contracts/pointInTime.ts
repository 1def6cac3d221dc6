import * as z from "zod";

/** A place in the WAL as PostgreSQL writes it. @example "16/B374D848" */
const lsnSchema = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/);
/** ISO 8601 in UTC with milliseconds. */
const timeSchema = z.iso.datetime();

/**
 * The WAL of one server from one moment on, without a gap, in a folder of its own. A number of a timeline is no identity: two
 * recoveries of one base both go on as the next one. So a chain is named like the slot that holds its WAL on the server, and a
 * slot is no part of a base backup. `chain.json`, stored before the first segment, signed; once the bucket's rules have expired it, it
 * is stored anew.
 */
export const chainSchema = z.object({
  version: z.literal(1),
  /** Name of the folder and of the slot. @example "kpb_20261128t031502_9f3a1c" */
  chain: z.string(),
  /** `system_identifier` of the cluster. */
  systemIdentifier: z.string(),
  /** Major version of the server. */
  major: z.int(),
  /** As `SHOW server_version` has it. */
  serverVersion: z.string(),
  /** First byte of WAL in the chain when this was stored, the beginning of a segment; earlier ones may be there too. */
  startLsn: lsnSchema,
  timeline: z.int().positive(),
  /** Size of a segment. Bytes. */
  segmentBytes: z.int().positive(),
  encryption: z.enum(["none", "age"]),
  /** Public keys for which all of the chain is sealed; empty: a passphrase, or in clear. */
  recipients: z.array(z.string()),
  /** The server's clock. */
  startedAt: timeSchema,
});
export type Chain = z.infer<typeof chainSchema>;

/** The commit mark of a base backup: stored last, once its tar and the WAL to its end are in the bucket. Signed. */
export const baseSchema = z.object({
  version: z.literal(1),
  chain: z.string(),
  /** When it began by the server's clock, UTC to the second, and its name. @example "2026-11-28T02:00:03" */
  stamp: z.string(),
  /** Stamp of the base that this one needs beneath it; null: it is whole. */
  parent: z.string().nullable(),
  timeline: z.int().positive(),
  /** Where its recovery begins to read WAL. */
  startLsn: lsnSchema,
  /** It is consistent once the WAL up to here is replayed. */
  endLsn: lsnSchema,
  /** When it was complete by the server's clock: the first moment that can be reached by it. */
  endedAt: timeSchema,
  /** Size of the stored tar. Bytes. */
  bytes: z.int().nonnegative(),
  /** SHA-256 of the stored tar, lower-case hex. */
  sha256: z.string(),
  /** Size of the tar itself, which is about what its recovery takes on disk. Bytes. */
  unpackedBytes: z.int().nonnegative(),
  durationMs: z.number().nonnegative(),
});
export type Base = z.infer<typeof baseSchema>;

/**
 * Proof of life, stored every five minutes: it tells an idle server from a dead agent. Where `archivedLsn` has come to
 * `serverLsn`, the end of the stored WAL is the state of `time`.
 */
export const aliveSchema = z.object({
  version: z.literal(1),
  chain: z.string(),
  /** The server's clock. */
  time: timeSchema,
  /** How far the server had written. */
  serverLsn: lsnSchema,
  /** How far the bucket had the WAL, pieces of the open segment included. */
  archivedLsn: lsnSchema,
  /** WAL that the server holds for the chain. Bytes. */
  heldBytes: z.int().nonnegative(),
  /** What it may hold before it lets the chain go (`max_slot_wal_keep_size`); null: without bound. Bytes. */
  boundBytes: z.int().nonnegative().nullable(),
});
export type Alive = z.infer<typeof aliveSchema>;

/** How archiving goes, as the agent that does it saw it last. */
export const walStateSchema = z.object({
  /** Null: none is open yet. */
  chain: z.string().nullable(),
  /** Whether WAL comes from the server. */
  receiving: z.boolean(),
  /** What keeps WAL from reaching the bucket, a sentence; null: nothing. */
  problem: z.string().nullable(),
  /** When it was seen so, by the container's clock. */
  at: timeSchema,
  /** How far the bucket has the WAL without a gap, pieces of the open segment included; null: not known yet. */
  archivedLsn: lsnSchema.nullable(),
  /** How far the server had written; null: not known yet. */
  serverLsn: lsnSchema.nullable(),
  /** WAL that the server holds for the chain; null: not known yet. Bytes. */
  heldBytes: z.int().nonnegative().nullable(),
  /** What it may hold before it lets the chain go; null: without bound, or not known yet. Bytes. */
  boundBytes: z.int().nonnegative().nullable(),
  /** Moment by the server's clock up to which the bucket has everything; null: not known yet. */
  reachableTo: timeSchema.nullable(),
  /** Time of the newest mark of life, by the server's clock; null: none is stored yet. */
  markedAt: timeSchema.nullable(),
  /** Why the last base backup failed, a sentence; null: it did not, or none was tried yet. */
  baseProblem: z.string().nullable(),
});
export type WalState = z.infer<typeof walStateSchema>;

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

/**
 * A moment as `recovery_target_time` takes it. Not with a Z: on the command line it is read before the names of zones are known.
 * @param moment ISO 8601 in UTC. @example "2026-11-28T10:15:00.000Z"
 */
export function targetTime(moment: string): string {
  return moment.replace("T", " ").replace(/Z$/, "+00");
}
