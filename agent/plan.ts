import type pg from "pg";
import {
  type CatalogueEntry,
  chooseBackup,
  listBackups,
  readManifest,
} from "../storage/catalogue.ts";
import type { Manifest } from "../storage/manifest.ts";
import { Problem } from "../storage/problem.ts";
import type { BackupContext } from "./backup.ts";
import { readClientVersion, readServer } from "./database.ts";
import { requireNoBackup } from "./lock.ts";
import { besideName, compactStamp } from "./names.ts";
import { type Report, readableBytes } from "./report.ts";
import { type DatabaseProperties, readProperties } from "./target.ts";

/** What a restore will do, settled and checked before it does anything. */
export interface Plan {
  readonly entry: CatalogueEntry;
  /** Null for the old image's objects. */
  readonly manifest: Manifest | null;
  /** The name that the restored database will have. */
  readonly target: string;
  /** The name that it has until it is checked. */
  readonly fresh: string;
  /** The database that has the target's name today. */
  readonly live: DatabaseProperties | null;
  /** What the new database is made like: the live one, also when it is restored beside it. */
  readonly like: DatabaseProperties | null;
  /** The name that the live database will get. */
  readonly before: string;
}

/**
 * Chooses the backup and the names, and refuses what cannot work.
 * @param wanted `latest` or a stamp
 * @param into name of a new database; absent: the live one is replaced
 * @throws Problem
 */
export async function makePlan(
  { settings, store }: BackupContext,
  maintenance: pg.Client,
  { wanted, into }: { readonly wanted: string; readonly into?: string },
): Promise<Plan> {
  const { database } = settings.postgres;
  const target = into ?? database;
  const live = await readProperties(maintenance, target);
  if (into !== undefined && live !== null) {
    throw new Problem(
      `database "${into}" exists already; --into makes a new one. Give another name, or drop it first.`,
    );
  }
  const { bucket, prefix } = store.address;
  const entries = await listBackups(store, database);
  const entry = chooseBackup(entries, wanted, database, `s3://${bucket}/${prefix}`);
  const manifest = entry.kind === "legacy" ? null : await readManifest(store, entry);
  requireReadable(entry, manifest);
  await requireVersions(maintenance, manifest);
  if (live !== null) await requireNoBackup(maintenance, target);
  return {
    entry,
    manifest,
    target,
    fresh: besideName(target, "restore", compactStamp(new Date(`${entry.stamp}Z`))),
    live,
    like: live ?? (await readProperties(maintenance, database)),
    before: besideName(target, "before", compactStamp(new Date())),
  };
}

function requireReadable(entry: CatalogueEntry, manifest: Manifest | null): void {
  if (entry.key.endsWith(".gpg")) {
    throw new Problem(
      `${entry.key} is encrypted with gpg by the old image, which this version does not read. Restore it with that image, or decrypt it by hand: gpg --decrypt, then pg_restore.`,
    );
  }
  if (manifest !== null && manifest.encryption !== "none") {
    throw new Problem(
      `${entry.key} is encrypted (${manifest.encryption}), which this version does not read. Use a newer kamal-postgres-backup.`,
    );
  }
}

async function requireVersions(maintenance: pg.Client, manifest: Manifest | null): Promise<void> {
  if (manifest === null) return;
  const server = await readServer(maintenance);
  if (server.major < manifest.server.major) {
    throw new Problem(
      `the backup is of PostgreSQL ${manifest.server.version}, this server runs ${server.version}. Restore into PostgreSQL ${manifest.server.major} or newer.`,
    );
  }
  const tool = await readClientVersion("pg_restore");
  const dumpMajor = Number(/(\d+)/.exec(manifest.pgDump)?.[1]);
  if (tool.major < dumpMajor) {
    throw new Problem(
      `the backup was made by ${manifest.pgDump}, this image has ${tool.line}. Use the image built for PostgreSQL ${dumpMajor} or newer.`,
    );
  }
}

/** Says what will happen. */
export function announce(report: Report, { entry, manifest, target, live, before }: Plan): void {
  report.line(
    `Restoring "${target}" from ${entry.stamp} UTC (${readableBytes(entry.bytes)}, ${entry.key}).`,
  );
  report.line(
    live === null
      ? `There is no database "${target}" now; it appears when its content has been checked.`
      : `The database of now stays as "${before}"; until the swap, which closes its connections for a moment, it is not touched.`,
  );
  if (manifest === null) {
    report.notice(
      `${entry.key} was written by the old image without a manifest: pg_restore's own result is checked, but there is nothing to compare the data with.`,
    );
  }
}
