import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Entry } from "../../../common/contracts/agentEvents.ts";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import type { BackupOutputs } from "../../../common/contracts/stackOutputs.ts";
import { backupManifest } from "../../support/manifest.ts";

export const outputs: BackupOutputs = {
  kind: "kamal-postgres-backup",
  version: 1,
  name: "shop",
  database: "shop_production",
  accessory: "db_backup",
  container: "shop-db_backup",
  hosts: [{ host: "192.0.2.10", port: 2222, user: "deploy", hostKey: "ssh-ed25519 AAAAhost" }],
  identityFiles: ["/home/ops/.ssh/id shop"],
  location: { region: "eu-west-3", bucket: "shop-backups-4f2a", prefix: "shop/production" },
  writerKeyId: "AKIAEXAMPLE",
  image: "registry.example.com/shop-db-backup@sha256:4f1c",
  schedule: "15 3 * * *",
  retentionDays: 30,
  rpoHours: 26,
};

export function manifestOf(stamp: string, rows = 18_204_117): Manifest {
  return backupManifest({
    database: "shop_production",
    takenAt: `${stamp}Z`,
    object: {
      key: `shop/production/shop_production_${stamp}.dump.zst`,
      bytes: 412_000_000,
      sha256: "0".repeat(64),
    },
    server: { version: "17.6", major: 17, systemIdentifier: "7", lsn: "0/1" },
    pgDump: "pg_dump (PostgreSQL) 17.6",
    databaseBytes: 2_800_000_000,
    tables: [
      { schema: "public", name: "orders", rows, exact: true },
      { schema: "public", name: "users", rows: 0, exact: true },
    ],
    durationMs: 11_000,
  });
}

export function entryOf(stamp: string, over: Partial<Entry> = {}): Entry {
  const manifest = manifestOf(stamp);
  const { key } = manifest.object;
  return {
    database: "shop_production",
    stamp,
    key,
    bytes: manifest.object.bytes,
    storedAt: `${stamp}.000Z`,
    kind: "ours",
    manifestKey: key.replace(".dump.zst", ".manifest.json"),
    suspect: false,
    tier: null,
    globalsKey: null,
    verifiedKey: null,
    manifest,
    ...over,
  };
}

/** Stamp of so many hours ago. */
export function hoursAgo(hours: number): string {
  return new Date(Date.now() - hours * 3_600_000).toISOString().slice(0, 19);
}

/** What `docker inspect` prints of a container that runs, or is in the given state. */
export function inspected(state: object = {}): string {
  return `${JSON.stringify({
    state: {
      Status: "running",
      ExitCode: 0,
      StartedAt: `${hoursAgo(80)}Z`,
      FinishedAt: "0001-01-01T00:00:00Z",
      ...state,
    },
    restarts: 0,
    image: "registry.example.com/x@sha256:4f1c",
  })}\n`;
}

/** A recorded event log of the real engine. */
export function recorded(name: "drift" | "clean" | "broken"): Promise<string> {
  return readFile(join(import.meta.dirname, "../stack/fixtures", `refresh-${name}.ndjson`), "utf8");
}
