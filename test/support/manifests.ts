import type { Manifest } from "../../common/contracts/manifest.ts";

/** A manifest as the agent writes it, of an empty database. */
export function manifestFor(
  {
    database,
    stamp,
    key,
    bytes = 1,
  }: Record<"database" | "stamp" | "key", string> & { bytes?: number },
  over: Partial<Manifest> = {},
): Manifest {
  return {
    version: 1,
    database,
    takenAt: `${stamp}Z`,
    object: { key, bytes, sha256: "0".repeat(64) },
    format: "pg_dump-custom",
    compression: "pg_dump-zstd",
    encryption: "none",
    globals: null,
    recipients: [],
    tier: null,
    suspect: null,
    server: { version: "17.6", major: 17, systemIdentifier: null, lsn: null },
    pgDump: "pg_dump (PostgreSQL) 17.6",
    databaseBytes: 1,
    tables: [],
    largeObjects: 0,
    durationMs: 1,
    ...over,
  };
}
