import { createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { createZstdDecompress } from "node:zlib";
import type pg from "pg";
import type { ServerSettings } from "../../common/contracts/agentEnvironment/postgres.ts";
import type { Base } from "../../common/contracts/pointInTime.ts";
import { formatBytes } from "../../common/format.ts";
import { Problem } from "../../common/problem.ts";
import { baseFilesKey, baseKey, baseTarKey } from "../../storage/catalogue/pointInTimeKeys.ts";
import { recordText } from "../../storage/catalogue/signedRecord.ts";
import { segmentStart, walBytes } from "../../storage/catalogue/walPosition.ts";
import { explain } from "../../storage/s3/errors.ts";
import { putNew } from "../../storage/upload/conditionalPut.ts";
import { partBytesFor } from "../../storage/upload/partSize.ts";
import { type Uploaded, uploadStream } from "../../storage/upload/upload.ts";
import { signingKeysOf } from "../archive/trust.ts";
import { AnotherBackupRuns, takeBaseLock } from "../postgres/advisoryLock.ts";
import { connect, libpqEnvironment } from "../postgres/connection.ts";
import { LIBPQ_KEEPALIVE } from "../postgres/session.ts";
import type { AgentContext } from "../runtime/context.ts";
import { throttled } from "../runtime/reporter.ts";
import { describeEncryption } from "../streams/encrypt.ts";
import { chunksOf, describeExit, requireSuccess, runProgram } from "../streams/process.ts";
import { STALL_LIMIT_MS, StallTimeout } from "../streams/stallTimeout.ts";
import { UNTRANSLATED } from "../streams/toolWarnings.ts";
import { BaseTar } from "./baseTar.ts";
import { ownSlot } from "./chain.ts";
import { newestBases } from "./newestBases.ts";
import { sealed } from "./seal.ts";
import { readWalServer, type WalServer, walSettings } from "./server.ts";

/** How a base backup is taken. */
export interface BaseOptions {
  /** Started by the schedule: spreads its checkpoint, and waits for a backup that is under way. @default false */
  readonly scheduled?: boolean;
  /** Only what has changed since the newest base in the bucket. @default a whole one */
  readonly incremental?: boolean;
}

const LOOK_EVERY_MS = 1_000;
/** The WAL of a base arrives within seconds; where the bucket is away, it has this long since the last that came. */
const ARRIVAL_LIMIT_MS = 15 * 60_000;
const LOCK_AGAIN_MS = 10_000;
const LONGEST_WAIT_MS = 6 * 3_600_000;

/**
 * Takes a base backup of the server into the chain that is archived now. It counts once its commit mark is written, which is last: when
 * the WAL that it needs is in the bucket too.
 * @throws Problem when there is no chain, or the backup fails; then nothing counts
 */
export async function takeBase(
  context: AgentContext,
  { scheduled = false, incremental = false }: BaseOptions,
): Promise<Base> {
  const { settings, report, signal } = context;
  const server = walSettings(settings);
  const client = await connect(server);
  try {
    await lock(client, scheduled, context);
    const found = await readWalServer(client);
    await requireOneTablespace(client);
    const slot = await ownSlot(client, settings, found);
    if (slot === undefined || slot.restart === null) {
      throw new Problem(
        "there is no chain of WAL for a base backup to stand in yet. The container begins it by itself; its log says why it has not: docker logs.",
      );
    }
    signal.throwIfAborted();
    const run = { client, server, found, chain: slot.name, scheduled };
    const base = incremental
      ? await onTopOfNewest(context, slot.name, (parent) => storeBase(context, run, parent))
      : await storeBase(context, run);
    const { stamp, bytes, unpackedBytes } = base;
    report.line(
      `${base.parent === null ? "Base backup" : `What has changed since the base backup of ${base.parent}Z is`} complete: ${stamp}Z, ${formatBytes(bytes)} of ${formatBytes(unpackedBytes)}, ${(base.durationMs / 1000).toFixed(1)} s`,
    );
    report.event({ event: "base", base });
    return base;
  } finally {
    await client.end();
  }
}

interface BaseRun {
  readonly client: pg.Client;
  readonly server: ServerSettings;
  readonly found: WalServer;
  readonly chain: string;
  readonly scheduled: boolean;
}

/** The base beneath another one. */
interface ParentBase {
  readonly stamp: string;
  /** File with PostgreSQL's list of its files. */
  readonly files: string;
}

/**
 * Takes a base on top of the newest in the bucket, whose list of files lies in memory meanwhile.
 * @throws Problem when there is none, or the key may not read
 */
async function onTopOfNewest(
  context: AgentContext,
  chain: string,
  take: (parent: ParentBase) => Promise<Base>,
): Promise<Base> {
  const { store } = context;
  const [newest] = (await newestBases(context, chain)) ?? [];
  if (newest === undefined) {
    throw new Problem(
      "there is no base backup of this chain that the key may read, so none can be taken on top of it. Take a whole one: agent base.",
    );
  }
  const folder = await mkdtemp(join(tmpdir(), "base-"));
  try {
    const files = join(folder, "files");
    const key = baseFilesKey(store.address.prefix, chain, newest.stamp);
    const { stream } = await store.get(key).catch((error: unknown) => {
      throw explain(error, store.address, `read ${key}`);
    });
    await pipeline(stream, createZstdDecompress(), createWriteStream(files, { mode: 0o600 }));
    return await take({ stamp: newest.stamp, files });
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function storeBase(context: AgentContext, run: BaseRun, parent?: ParentBase): Promise<Base> {
  const { settings, store } = context;
  const { client, found, chain } = run;
  const started = performance.now();
  const { prefix } = store.address;
  const stamp = found.now.slice(0, 19);
  const how = describeEncryption(settings.encryption);
  const tar = new BaseTar();
  const key = baseTarKey(prefix, chain, stamp, how);
  const stored = await uploadTar(context, { ...run, parent }, tar, key);
  const endedAt = await serverTime(client);
  const { compressed, range } = await tar.files();
  const filesKey = baseFilesKey(prefix, chain, stamp);
  await store.putNew(filesKey, compressed, "application/zstd").catch((error: unknown) => {
    throw explain(error, store.address, `write ${filesKey}`);
  });
  await walArrived(context, run, range.endLsn);
  const base: Base = {
    version: 1,
    chain,
    stamp,
    parent: parent?.stamp ?? null,
    ...range,
    endedAt,
    ...stored,
    unpackedBytes: tar.bytes,
    durationMs: Math.round(performance.now() - started),
  };
  const text = recordText(base, signingKeysOf(settings), "base backup");
  await putNew(store, baseKey(prefix, base), text, "application/json");
  return base;
}

async function uploadTar(
  { settings, store, report, signal }: AgentContext,
  { client, server, scheduled, parent }: BaseRun & { readonly parent: ParentBase | undefined },
  tar: BaseTar,
  key: string,
): Promise<Uploaded> {
  const { databaseBytes, checkpointMs } = await readSizes(client);
  const program = runProgram('exec pg_basebackup "$@"', {
    args: [
      ...["--pgdata=-", "--format=tar", "--wal-method=none", "--no-password"],
      `--checkpoint=${scheduled ? "spread" : "fast"}`,
      "--label=kamal-postgres-backup",
      ...(parent === undefined ? [] : [`--incremental=${parent.files}`]),
      `--dbname=${LIBPQ_KEEPALIVE}`,
    ],
    env: { ...libpqEnvironment(server), ...UNTRANSLATED },
    stdin: "ignore",
  });
  // Nothing comes before the checkpoint, which may be spread over the server's whole interval.
  const stall = new StallTimeout("base backup", STALL_LIMIT_MS + checkpointMs);
  const startedAt = performance.now();
  const progress = throttled((bytes: number) =>
    report.event({
      event: "progress",
      step: "upload",
      bytes,
      elapsedMs: Math.round(performance.now() - startedAt),
    }),
  );
  try {
    return await uploadStream(
      store,
      key,
      sealed(tar.pass(stall.watch(chunksOf(program.stdout))), settings.encryption),
      {
        partBytes: partBytesFor(store.address.provider, databaseBytes),
        signal: AbortSignal.any([signal, stall.signal]),
        onProgress: progress,
        beforeComplete: () =>
          requireSuccess(program, (exit) => describeExit("pg_basebackup", exit)),
      },
    );
  } catch (error) {
    signal.throwIfAborted();
    // Whoever has failed first says why: without its output the upload fails second.
    program.kill();
    const { code } = await program.ended;
    if (code !== 0 && code !== KILLED && !(error instanceof Problem)) {
      await requireSuccess(program, (exit) => describeExit("pg_basebackup", exit));
    }
    throw error;
  } finally {
    stall.stop();
    program.kill();
    await program.ended;
  }
}

const KILLED = 137;

/** Waits until the bucket has the WAL up to there, which the slot on the server tells. */
async function walArrived(
  { settings, signal }: AgentContext,
  { client, found, chain }: BaseRun,
  endLsn: string,
): Promise<void> {
  const end = walBytes(endLsn) - 1n;
  const wanted = segmentStart(end, found.segmentBytes) + BigInt(found.segmentBytes);
  let last = 0n;
  for (let limit = performance.now() + ARRIVAL_LIMIT_MS; ; ) {
    signal.throwIfAborted();
    const slot = await ownSlot(client, settings, found);
    if (slot?.name !== chain || slot.restart === null) {
      throw new Problem(
        "the chain of WAL was let go while the base backup was taken, so it does not count. The next one stands in the new chain.",
      );
    }
    if (slot.restart >= wanted) return;
    if (slot.restart > last) limit = performance.now() + ARRIVAL_LIMIT_MS;
    last = slot.restart;
    if (performance.now() > limit) {
      throw new Problem(
        `the base backup is stored, but no WAL has reached the bucket for ${ARRIVAL_LIMIT_MS / 60_000} minutes, so it does not count. The container's log says why: docker logs.`,
      );
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** One by hand does not wait: its operator sees why, and decides. */
async function lock(
  client: pg.Client,
  scheduled: boolean,
  { report, signal }: AgentContext,
): Promise<void> {
  for (const limit = performance.now() + LONGEST_WAIT_MS; ; ) {
    try {
      await takeBaseLock(client);
      return;
    } catch (error) {
      const waits = scheduled && error instanceof AnotherBackupRuns && performance.now() < limit;
      if (!waits) throw error;
      report.line(`${error.message} The base backup waits for it.`);
    }
    await sleep(LOCK_AGAIN_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

async function requireOneTablespace(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT spcname AS name FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global') ORDER BY 1",
  );
  if (rows.length === 0) return;
  const names = rows.map(({ name }) => `"${name}"`).join(", ");
  throw new Problem(
    `the server has tablespaces of its own (${names}), which no base backup as one stream can have. Move what lies there: ALTER TABLE ... SET TABLESPACE pg_default, then DROP TABLESPACE.`,
  );
}

async function readSizes(client: pg.Client) {
  const { rows } = await client.query<{ bytes: string; checkpoint: string }>(
    `SELECT sum(pg_database_size(oid))::text AS bytes,
            (SELECT setting FROM pg_settings WHERE name = 'checkpoint_timeout') AS checkpoint
     FROM pg_database`,
  );
  const { bytes, checkpoint } = rows[0] ?? {};
  return { databaseBytes: Number(bytes ?? 0), checkpointMs: Number(checkpoint ?? 0) * 1_000 };
}

async function serverTime(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ now: Date }>("SELECT clock_timestamp() AS now");
  return (rows[0]?.now ?? new Date()).toISOString();
}
