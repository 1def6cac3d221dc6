import * as z from "zod";
import { Problem } from "../problem.ts";

/** One table of the dump with the number of rows it had in the dump's own snapshot. */
const tableSchema = z.object({
  schema: z.string(),
  name: z.string(),
  rows: z.int().nonnegative(),
  /** False: estimated from a sample, because the table is too large to be counted. Then it is not compared exactly. */
  exact: z.boolean(),
  /** True: a part of a partitioned table. Those come and go, so a missing one is no loss. */
  partition: z.boolean().optional(),
});

/** An object as stored, for finding it damaged. */
const storedSchema = z.object({
  /** Full key in the bucket. */
  key: z.string().min(1),
  bytes: z.int().positive(),
  /** SHA-256 of the object's bytes as stored, lower-case hex. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

/**
 * The manifest of one backup: a JSON object beside the dump, written last. A backup exists only when its manifest does.
 *
 * Contract between the agent, which writes it, and everything that reads the bucket. A reader refuses a newer `version`.
 */
export const manifestSchema = z.object({
  version: z.literal(1),
  /** Exact name of the database that was dumped. */
  database: z.string().min(1),
  /** Time of the snapshot in UTC, `2026-11-24T03:15:02Z`. The object's key carries the same stamp. */
  takenAt: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
  /** The dump. */
  object: storedSchema,
  /**
   * Roles and grants without passwords: `pg_dumpall --globals-only`, through `zstd`, encrypted as the dump is; null when
   * not taken.
   */
  globals: storedSchema.nullable(),
  format: z.literal("pg_dump-custom"),
  /**
   * `pg_dump-zstd`: pg_dump compressed the data within its archive, which `pg_restore` reads as it is. `zstd`: the whole
   * archive went through `zstd`, because pg_dump cannot before version 16. `none`: neither.
   */
  compression: z.enum(["pg_dump-zstd", "zstd", "none"]),
  encryption: z.enum(["none", "age"]),
  /** Public keys that can decrypt; empty for a passphrase or none. */
  recipients: z.array(z.string()),
  /** Folder by calendar; null without tiers. */
  tier: z.enum(["daily", "weekly", "monthly"]).nullable(),
  /** Why this backup does not count as latest; null for a good one. */
  suspect: z.string().nullable(),
  server: z.object({
    /** `server_version` as the server prints it, e.g. `17.6 (Debian 17.6-1)`. */
    version: z.string(),
    major: z.int(),
    /** `pg_control_system()`; null where the role may not read it. */
    systemIdentifier: z.string().nullable(),
    /** Write-ahead log position near the snapshot; null on a standby that cannot tell. */
    lsn: z.string().nullable(),
  }),
  /** Version line of the `pg_dump` that made the archive. */
  pgDump: z.string(),
  /** `pg_database_size` at the snapshot, bytes. */
  databaseBytes: z.int().nonnegative(),
  tables: z.array(tableSchema),
  /** Number of large objects in the snapshot. */
  largeObjects: z.int().nonnegative(),
  durationMs: z.int().nonnegative(),
});

export type Manifest = z.infer<typeof manifestSchema>;

/** Total of the rows of all tables. */
export function totalRows(manifest: Manifest): number {
  return manifest.tables.reduce((sum, table) => sum + table.rows, 0);
}

/**
 * Reads a manifest.
 * @param text JSON as stored
 * @param key the manifest's key, for the error
 * @throws Problem when the text is no JSON, is of a newer version, or lacks a field
 */
export function parseManifest(text: string, key: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Problem(
      `manifest ${key} is not JSON; the backup cannot be trusted. Choose another one from the list.`,
    );
  }
  const version = (value as { version?: unknown } | null)?.version;
  if (typeof version === "number" && version > 1) {
    throw new Problem(
      `manifest ${key} has version ${version}, this program reads version 1. Use a newer kamal-postgres-backup.`,
    );
  }
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Problem(
      `manifest ${key} is not valid: ${issue?.path.join(".")}: ${issue?.message}. Choose another backup from the list.`,
    );
  }
  return parsed.data;
}
