import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { Store } from "../storage/client.ts";
import { dumpKey, manifestKey, stampOf } from "../storage/keys.ts";
import { type Manifest, totalRows } from "../storage/manifest.ts";
import { Problem } from "../storage/problem.ts";
import { putNew } from "../storage/putOnce.ts";
import { partBytesFor, uploadStream } from "../storage/upload.ts";
import {
  checkClientVersion,
  connect,
  endingOnAbort,
  readClientVersion,
  readServer,
} from "./database.ts";
import { dumpFailure, extraOptions, readContents, startDump } from "./dump.ts";
import type { AgentSettings } from "./environment.ts";
import { takeBackupLock } from "./lock.ts";
import { describeEnding, type Pipeline } from "./pipeline.ts";
import { type Report, readableBytes, throttled } from "./report.ts";
import { countSnapshotRows, type Snapshot, takeSnapshot } from "./snapshot.ts";
import { StallWatch } from "./stall.ts";

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

/**
 * Dumps the database into the bucket. The backup exists once its manifest does, which is written last.
 * @throws Problem on any failure; then nothing is visible, or, if only the manifest is missing, the error says that the
 * object does not count
 */
export async function backup(context: BackupContext): Promise<Manifest> {
  const { settings, signal } = context;
  const started = performance.now();
  refuseUnfinished(settings);
  extraOptions(settings.postgres.dumpOptions);
  const client = await connect(settings.postgres);
  // Its end also releases the snapshot and the lock.
  return endingOnAbort(client, signal, async () => {
    const server = await readServer(client);
    const pgDump = await readClientVersion("pg_dump");
    checkClientVersion(pgDump, server);
    await takeBackupLock(client, settings.postgres.database);
    const manifest = await dumpSnapshot(context, client, { server, pgDump: pgDump.line, started });
    await sleep(Math.max(0, SHORTEST_RUN_MS - (performance.now() - started)));
    return manifest;
  });
}

/** A setting that this version cannot honour is refused: backups that are less than they were asked to be would be a lie. */
function refuseUnfinished({ encryption, databases, tiers, keep }: AgentSettings): void {
  if (encryption !== undefined) {
    throw new Problem(
      "PASSPHRASE or AGE_RECIPIENTS is set, but this version does not encrypt. Nothing was stored.",
    );
  }
  if (databases.length !== 1) {
    throw new Problem(
      "this version backs up one database for each accessory. Set POSTGRES_DATABASE to one name.",
    );
  }
  if (tiers || keep !== undefined) {
    throw new Problem(
      "BACKUP_TIERS and BACKUP_KEEP_DAYS are not honoured by this version; the bucket's rule expires backups. Remove them.",
    );
  }
}

interface Facts {
  readonly server: { readonly version: string; readonly major: number };
  readonly pgDump: string;
  readonly started: number;
}

async function dumpSnapshot(context: BackupContext, client: pg.Client, facts: Facts) {
  const { settings, store, report } = context;
  const { database } = settings.postgres;
  const contents =
    settings.postgres.dumpOptions === "" ? undefined : await readContents(settings.postgres);
  const snapshot = await takeSnapshot(client, contents?.tables);
  const stamp = stampOf(snapshot.takenAt);
  const key = dumpKey(store.address.prefix, database, stamp, {
    compression: "zstd",
    encryption: "none",
  });
  report.line(
    `Backing up ${database} (${readableBytes(snapshot.databaseBytes)}, ${snapshot.tables.length} tables) to ${key}`,
  );

  // Counted on the snapshot's own connection while pg_dump reads on another: the same rows, no time of its own.
  const counting = countSnapshotRows(client, snapshot.tables);
  counting.catch(() => {});
  const { bytes, sha256 } = await uploadDump(context, snapshot, key, counting);
  const manifest: Manifest = {
    version: 1,
    database,
    takenAt: `${snapshot.takenAt.toISOString().slice(0, 19)}Z`,
    object: { key, bytes, sha256 },
    globals: null,
    format: "pg_dump-custom",
    compression: "zstd",
    encryption: "none",
    recipients: [],
    tier: null,
    suspect: null,
    server: {
      ...facts.server,
      systemIdentifier: snapshot.systemIdentifier,
      lsn: snapshot.lsn,
    },
    pgDump: facts.pgDump,
    databaseBytes: snapshot.databaseBytes,
    tables: (await counting).map((table) => ({ ...table, exact: true })),
    largeObjects: contents?.largeObjects === false ? 0 : snapshot.largeObjects,
    durationMs: Math.round(performance.now() - facts.started),
  };
  await writeManifest(store, manifestKey(store.address.prefix, database, stamp), manifest);
  report.line(
    `Backup complete: ${readableBytes(bytes)}, ${manifest.tables.length} tables, ${totalRows(manifest)} rows, ${(manifest.durationMs / 1000).toFixed(1)} s`,
  );
  report.event({ event: "backup", manifest });
  return manifest;
}

async function uploadDump(
  { settings, store, report, signal }: BackupContext,
  snapshot: Snapshot,
  key: string,
  counting: Promise<unknown>,
) {
  const started = performance.now();
  const stall = new StallWatch(`backup of ${settings.postgres.database}`);
  const progress = throttled(PROGRESS_EVERY_MS, (bytes: number) =>
    report.event({
      event: "progress",
      step: "upload",
      bytes,
      elapsedMs: Math.round(performance.now() - started),
    }),
  );
  const pipeline = startDump(settings.postgres, snapshot.id);
  // An encrypting stage belongs between the compressor's output and the upload: here, and nowhere else.
  const compressed: AsyncIterable<Buffer> = pipeline.stdout;
  try {
    return await uploadStream(store, key, stall.watch(compressed), {
      partBytes: partBytesFor(store.address.provider, snapshot.databaseBytes),
      signal: AbortSignal.any([signal, stall.signal]),
      onProgress: (bytes) => {
        stall.touch();
        progress(bytes);
      },
      beforeComplete: async () => {
        stall.stop();
        await requireCleanEnd(pipeline);
        await counting;
      },
    });
  } finally {
    stall.stop();
    pipeline.kill();
    await pipeline.ended;
  }
}

/** A stream that merely ends proves nothing: both programs must say that they were done. */
async function requireCleanEnd(pipeline: Pipeline): Promise<void> {
  const { first, second } = await pipeline.ended;
  // A dying compressor takes pg_dump along by SIGPIPE (141): the compressor is the cause then.
  if (second.code !== 0 && (first.code === 0 || first.code === 141)) {
    throw new Problem(`${describeEnding("zstd", second)}. Nothing was stored; try again.`);
  }
  if (first.code !== 0) throw new Problem(`${dumpFailure(first)}. Nothing was stored.`);
  if (second.code !== 0) {
    throw new Problem(`${describeEnding("zstd", second)}. Nothing was stored; try again.`);
  }
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
