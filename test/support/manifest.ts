import type { DrillRecord } from "../../common/contracts/drillRecord.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";

/** A good backup of the database `app` as the catalogue lists it, stored in the second of its stamp. */
export function backupEntry(stamp: string, over: Partial<CatalogueEntry> = {}): CatalogueEntry {
  return {
    database: "app",
    stamp,
    key: `backup/app_${stamp}.dump.zst`,
    bytes: 1,
    storedAt: `${stamp}.000Z`,
    kind: "ours",
    manifestKey: `backup/app_${stamp}.manifest.json`,
    suspect: false,
    tier: null,
    globalsKey: null,
    verifiedKey: null,
    ...over,
  };
}

/** A manifest of a small good backup of the database `app`; tests say what matters to them. */
export function backupManifest(over: Partial<Manifest> = {}): Manifest {
  return {
    version: 1,
    database: "app",
    takenAt: "2026-11-24T03:15:02Z",
    object: { key: "app.dump.zst", bytes: 1, sha256: "0".repeat(64) },
    format: "pg_dump-custom",
    compression: "zstd",
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

/** The record of a small drill that passed, of the database `app`; tests say what matters to them. */
export function drillRecord(over: Partial<DrillRecord> = {}): DrillRecord {
  return {
    version: 1,
    database: "app",
    backup: { stamp: "2026-11-24T03:15:02", key: "backup/app_2026-11-24T03:15:02.dump.zst" },
    verdict: "passed",
    reason: null,
    startedAt: "2026-11-24T04:00:00.000Z",
    readMs: 100,
    loadMs: 200,
    totalMs: 300,
    rtoMs: null,
    rtoMet: null,
    tables: 1,
    rows: 1,
    compared: true,
    checks: [],
    serverMajor: 17,
    upgradeTo: null,
    where: "here",
    openedWith: null,
    ...over,
  };
}
