import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { type CatalogueEntry, listBackups } from "../storage/catalogue.ts";
import type { Store } from "../storage/client.ts";
import { isDenied } from "../storage/explain.ts";
import {
  dumpKey,
  type Folder,
  globalsKey,
  manifestKey,
  stampOf,
  type Treatment,
} from "../storage/keys.ts";
import { type Manifest, totalRows } from "../storage/manifest.ts";
import { Problem } from "../storage/problem.ts";
import { putNew } from "../storage/putOnce.ts";
import { partBytesFor } from "../storage/upload.ts";
import {
  checkClientVersion,
  connect,
  endingOnAbort,
  readClientVersion,
  readServer,
} from "./database.ts";
import { compressionBy, dumpFailure, extraOptions, readContents, startDump } from "./dump.ts";
import { describeEncryption } from "./encryption.ts";
import type { AgentSettings } from "./environment.ts";
import { storeGlobals } from "./globals.ts";
import { doubtSize, doubtSnapshot, findReference } from "./guard.ts";
import { takeBackupLock } from "./lock.ts";
import { type Packing, storePacked } from "./packed.ts";
import { type Report, readableBytes, throttled } from "./report.ts";
import { prune } from "./retention.ts";
import { countSnapshotRows, type Snapshot, takeSnapshot } from "./snapshot.ts";
import { chooseTier } from "./tiers.ts";
import { verifyNew } from "./verify.ts";

/** A stamp has seconds; a run holds its lock for one, so that the next one gets another stamp. */
const SHORTEST_RUN_MS = 1000;
const PROGRESS_EVERY_MS = 1000;

export interface BackupContext {
  readonly settings: AgentSettings;
  readonly store: Store;
  readonly report: Report;
  /** Ends the run: the upload is aborted and nothing becomes visible. */
  readonly signal: AbortSignal;
}

export interface BackupOptions {
  /** Takes the backup as good although it differs from the one before: the new normal. @default false */
  readonly accept?: boolean;
}

/**
 * Dumps the context's database into the bucket. The backup exists once its manifest does, which is written last.
 * @throws Problem on any failure; then nothing is visible, or, if only the manifest is missing, the error says that the
 * object does not count. Also when the backup was stored as a suspect one, which never counts as latest
 */
export async function backup(
  context: BackupContext,
  options: BackupOptions = {},
): Promise<Manifest> {
  const { settings, signal } = context;
  const { database } = settings.postgres;
  const started = performance.now();
  extraOptions(settings.postgres.dumpOptions);
  const client = await connect(settings.postgres);
  // Its end also releases the snapshot and the lock.
  const manifest = await endingOnAbort(client, signal, async () => {
    const server = await readServer(client);
    const pgDump = await readClientVersion("pg_dump");
    checkClientVersion(pgDump, server);
    await takeBackupLock(client, database);
    const past = await readPast(context, options);
    const facts = { server, pgDump, started, past };
    const stored = await dumpSnapshot(context, client, facts);
    await sleep(Math.max(0, SHORTEST_RUN_MS - (performance.now() - started)));
    return stored;
  });
  if (manifest.suspect !== null) {
    throw new Problem(
      `the backup of "${database}" was stored as suspect and does not count: ${manifest.suspect}. If that is as it should be, say so once with: backup --accept`,
    );
  }
  if (settings.verify) await verifyNew(context, manifest);
  if (settings.keep !== undefined) await prune(context, settings.keep);
  return manifest;
}

/** What the bucket tells of earlier backups of the same database. */
interface Past {
  /** Null: the key may not list. */
  readonly entries: readonly CatalogueEntry[] | null;
  /** The one to compare with; null: there is none, or the difference is accepted. */
  readonly reference: Manifest | null;
}

async function readPast(context: BackupContext, { accept }: BackupOptions): Promise<Past> {
  const { settings, store, report } = context;
  try {
    const entries = await listBackups(store, settings.postgres.database);
    return { entries, reference: accept ? null : await findReference(context, entries) };
  } catch (error) {
    if (!(error instanceof Problem) || !isDenied(error.cause)) throw error;
    if (settings.tiers) {
      throw new Problem(
        `BACKUP_TIERS is set, but the key may not list the bucket, so that it is not known which backup is a month's first. ${error.message}`,
        { cause: error },
      );
    }
    report.notice("the key may not list the bucket, so this backup is not compared with the last.");
    return { entries: null, reference: null };
  }
}

interface Facts {
  readonly server: { readonly version: string; readonly major: number };
  readonly pgDump: { readonly line: string; readonly major: number };
  readonly started: number;
  readonly past: Past;
}

async function dumpSnapshot(context: BackupContext, client: pg.Client, facts: Facts) {
  const { settings, store, report } = context;
  const { reference, entries } = facts.past;
  const { database } = settings.postgres;
  const { prefix } = store.address;
  const contents =
    settings.postgres.dumpOptions === "" ? undefined : await readContents(settings.postgres);
  const snapshot = await takeSnapshot(client, contents?.tables);
  if (snapshot.tables.length === 0) {
    report.notice(`"${database}" has no table. Check POSTGRES_DATABASE if that is not meant.`);
  }
  const stamp = stampOf(snapshot.takenAt);
  const tier = settings.tiers ? chooseTier(entries ?? [], stamp) : null;
  const foreseen = reference && doubtSnapshot(snapshot, reference);
  const folder: Folder = foreseen === null ? tier : "suspect";
  const { encryption, recipients } = describeEncryption(settings.encryption);
  const compression = compressionBy(facts.pgDump.major);
  const treatment: Treatment = { compression, encryption };
  const key = dumpKey(prefix, database, stamp, treatment, folder);
  report.line(
    `Backing up ${database} (${readableBytes(snapshot.databaseBytes)}, ${snapshot.tables.length} tables) to ${key}`,
  );

  // Counted on the snapshot's own connection while pg_dump reads on another: the same rows, no time of its own.
  const counting = countSnapshotRows(client, snapshot.tables);
  counting.catch(() => {});
  let globals: Manifest["globals"] = null;
  const source = startDump(settings, snapshot.id, compression);
  const object = await storeDump(context, snapshot, { key, source }, async () => {
    await counting;
    if (!settings.globals) return;
    globals = await storeGlobals(context, globalsKey(prefix, database, stamp, treatment, folder));
  });
  const suspect =
    foreseen ??
    (reference &&
      doubtSize({ ...treatment, bytes: object.bytes }, reference, settings.maxShrinkPercent));
  const manifest: Manifest = {
    version: 1,
    database,
    takenAt: `${stamp}Z`,
    object,
    globals,
    format: "pg_dump-custom",
    ...treatment,
    recipients,
    tier: folder === "suspect" ? null : folder,
    suspect,
    server: {
      ...facts.server,
      systemIdentifier: snapshot.systemIdentifier,
      lsn: snapshot.lsn,
    },
    pgDump: facts.pgDump.line,
    databaseBytes: snapshot.databaseBytes,
    tables: await counting,
    largeObjects: contents?.largeObjects === false ? 0 : snapshot.largeObjects,
    durationMs: Math.round(performance.now() - facts.started),
  };
  // What shrank is known only when it lies where good ones do; its manifest's folder is what makes it a suspect one.
  const place = suspect === null ? folder : "suspect";
  await writeManifest(store, manifestKey(prefix, database, stamp, place), manifest);
  report.line(
    `Backup ${suspect === null ? "complete" : "stored as suspect"}: ${readableBytes(object.bytes)}, ${manifest.tables.length} tables, ${totalRows(manifest)} rows, ${(manifest.durationMs / 1000).toFixed(1)} s`,
  );
  report.event({ event: "backup", manifest });
  return manifest;
}

async function storeDump(
  context: BackupContext,
  snapshot: Snapshot,
  dump: Pick<Packing, "key" | "source">,
  beforeComplete: () => Promise<void>,
) {
  const { settings, store, report } = context;
  const started = performance.now();
  const progress = throttled(PROGRESS_EVERY_MS, (bytes: number) =>
    report.event({
      event: "progress",
      step: "upload",
      bytes,
      elapsedMs: Math.round(performance.now() - started),
    }),
  );
  return storePacked(context, {
    ...dump,
    what: `backup of ${settings.postgres.database}`,
    partBytes: partBytesFor(store.address.provider, snapshot.databaseBytes),
    failure: dumpFailure,
    onProgress: progress,
    beforeComplete,
  });
}

async function writeManifest(store: Store, key: string, manifest: Manifest): Promise<void> {
  try {
    await putNew(store, key, `${JSON.stringify(manifest, null, 2)}\n`, "application/json");
  } catch (error) {
    throw new Problem(
      `the dump was stored as ${manifest.object.key}, but its manifest ${key} could not be written (${error instanceof Error ? error.message : String(error)}). Without it this backup does not count; take another one.`,
      { cause: error },
    );
  }
}
