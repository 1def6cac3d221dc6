import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import {
  dumpKey,
  type Folder,
  globalsKey,
  stampOf,
  type Treatment,
} from "../../storage/catalogue/objectKeys.ts";
import { partBytesFor } from "../../storage/upload/partSize.ts";
import { verifyNew } from "../archive/verify.ts";
import { takeBackupLock } from "../postgres/advisoryLock.ts";
import {
  checkClientVersion,
  connect,
  endingOnAbort,
  readClientVersion,
  readServer,
} from "../postgres/connection.ts";
import { countSnapshotRows, takeSnapshot } from "../postgres/snapshot.ts";
import type { AgentContext } from "../runtime/context.ts";
import { readableBytes, throttled } from "../runtime/reporter.ts";
import { beginHead, describeEncryption } from "../streams/encrypt.ts";
import { type Packing, type Stored, storeInPlaces, type Target } from "../streams/fanOutUpload.ts";
import { doubtSize, doubtSnapshot } from "./anomaly.ts";
import { record } from "./commit.ts";
import { Ledger } from "./destinationResults.ts";
import { choosePlaces, type Place, type Places } from "./destinations.ts";
import { beginGlobals, type Globals } from "./globals.ts";
import { compressionBy, dumpFailure, extraOptions, readContents, startDump } from "./pgDump.ts";
import { prune } from "./retention.ts";
import { chooseTier } from "./tiers.ts";

/** A stamp has seconds; a run holds its lock for one, so that the next one gets another stamp. */
const SHORTEST_RUN_MS = 1000;
const PROGRESS_EVERY_MS = 1000;

export interface BackupOptions {
  /** Takes the backup as good although it differs from the one before: the new normal. @default false */
  readonly accept?: boolean;
}

/**
 * Dumps the context's database into the bucket, and into the second one if a copy is due. The backup exists in a place
 * once its manifest does, which is written last. Each place fails alone.
 * @throws Problem on any failure; then nothing is visible in the places that the error names, or, if only the manifest is
 * missing, it says that the object does not count. Also when the backup was stored as a suspect one, which never counts as
 * latest
 */
export async function backup(
  context: AgentContext,
  options: BackupOptions = {},
): Promise<Manifest> {
  const { settings, signal } = context;
  const { database } = settings.postgres;
  const started = performance.now();
  extraOptions(settings.postgres.dumpOptions);
  const ledger = new Ledger(context);
  const client = await connect(settings.postgres);
  // Its end also releases the snapshot and the lock.
  await endingOnAbort(client, signal, async () => {
    const server = await readServer(client);
    const pgDump = await readClientVersion("pg_dump");
    checkClientVersion(pgDump, server);
    await takeBackupLock(client, database);
    const chosen = await choosePlaces(context, options, ledger);
    await dumpSnapshot(context, client, { server, pgDump, started, chosen }, ledger);
    await sleep(Math.max(0, SHORTEST_RUN_MS - (performance.now() - started)));
  });
  const suspect = ledger.any?.suspect ?? null;
  if (suspect === null && settings.verify) await verifyStored(context, ledger);
  if (suspect === null && settings.keep !== undefined) await prune(context, settings.keep, ledger);
  if (ledger.hasFailed) throw ledger.failure();
  if (suspect !== null) {
    throw new Problem(
      `the backup of "${database}" was stored as suspect and does not count: ${suspect}. If that is as it should be, say so once with: backup --accept`,
    );
  }
  return ledger.any as Manifest;
}

async function verifyStored(context: AgentContext, ledger: Ledger): Promise<void> {
  const stores = { first: context.store, copy: context.copy?.store };
  for (const name of ["first", "copy"] as const) {
    const manifest = ledger.good(name);
    const store = stores[name];
    if (manifest === undefined || store === undefined) continue;
    await ledger.attempt(name, () => verifyNew({ ...context, store }, manifest));
  }
}

interface Facts {
  readonly server: { readonly version: string; readonly major: number };
  readonly pgDump: { readonly line: string; readonly major: number };
  readonly started: number;
  readonly chosen: Places;
}

/** A place, and where in it the dump goes. */
interface DumpTarget extends Place, Target {
  readonly folder: Folder;
}

async function dumpSnapshot(
  context: AgentContext,
  client: pg.Client,
  facts: Facts,
  ledger: Ledger,
): Promise<void> {
  const { settings, report } = context;
  const { reference, places } = facts.chosen;
  const { database } = settings.postgres;
  const contents =
    settings.postgres.dumpOptions === "" ? undefined : await readContents(settings.postgres);
  const snapshot = await takeSnapshot(client, contents?.tables);
  if (snapshot.tables.length === 0) {
    report.notice(`"${database}" has no table. Check POSTGRES_DATABASE if that is not meant.`);
  }
  const stamp = stampOf(snapshot.takenAt);
  const foreseen = reference && doubtSnapshot(snapshot, reference);
  const { encryption, recipients } = describeEncryption(settings.encryption);
  const compression = compressionBy(facts.pgDump.major);
  const treatment: Treatment = { compression, encryption };
  const targets = places.map((place): DumpTarget => {
    const { prefix, provider } = place.store.address;
    const tier = place.tiers ? chooseTier(place.entries ?? [], stamp) : null;
    const folder = foreseen === null ? tier : "suspect";
    return {
      ...place,
      folder,
      key: dumpKey(prefix, database, stamp, treatment, folder),
      partBytes: partBytesFor(provider, snapshot.databaseBytes),
    };
  });
  report.line(
    `Backing up ${database} (${readableBytes(snapshot.databaseBytes)}, ${snapshot.tables.length} tables) to ${targets.map(({ name, key }) => (name === "copy" ? `the copy's ${key}` : key)).join(" and ")}`,
  );

  // Counted on the snapshot's own connection while pg_dump reads on another: the same rows, no time of its own.
  const counting = countSnapshotRows(client, snapshot.tables);
  counting.catch(() => {});
  const source = startDump(settings, snapshot.id, compression);
  const head = beginHead(settings.encryption);
  const globals = settings.globals ? beginGlobals(context, head) : undefined;
  const storedGlobals = new Map<DumpTarget, Manifest["globals"]>();
  let storing: ReturnType<Globals["store"]> | undefined;
  const globalsTarget = ({ store, folder }: DumpTarget) => ({
    store,
    key: globalsKey(store.address.prefix, database, stamp, treatment, folder),
  });
  const objects = await storeDump(context, { source, head }, targets, async (target, live) => {
    await counting;
    if (globals === undefined) return;
    storing ??= globals.store(live.map(globalsTarget));
    const stored = (await storing)[live.indexOf(target)];
    if (stored?.status === "rejected") throw stored.reason;
    storedGlobals.set(target, stored?.value ?? null);
  }).finally(() => globals?.end());
  for (const [index, target] of targets.entries()) {
    const { name, folder } = target;
    const result = objects[index] as PromiseSettledResult<Stored>;
    if (result.status === "rejected") {
      ledger.failed(name, result.reason);
      continue;
    }
    const object = result.value;
    const suspect =
      foreseen ??
      (reference &&
        doubtSize({ ...treatment, bytes: object.bytes }, reference, settings.maxShrinkPercent));
    const manifest: Manifest = {
      version: 1,
      database,
      takenAt: `${stamp}Z`,
      object,
      globals: storedGlobals.get(target) ?? null,
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
    await ledger.attempt(name, async () => {
      await record(report, target, manifest);
      ledger.stored(name, manifest);
    });
  }
}

async function storeDump(
  context: AgentContext,
  dump: Pick<Packing<DumpTarget>, "source" | "head">,
  targets: readonly DumpTarget[],
  beforeComplete: (target: DumpTarget, live: readonly DumpTarget[]) => Promise<void>,
) {
  const { settings, report } = context;
  const started = performance.now();
  const progress = throttled(PROGRESS_EVERY_MS, (bytes: number) =>
    report.event({
      event: "progress",
      step: "upload",
      bytes,
      elapsedMs: Math.round(performance.now() - started),
    }),
  );
  const packing = {
    what: `backup of ${settings.postgres.database}`,
    ...dump,
    failure: dumpFailure,
    onProgress: progress,
    beforeComplete,
  };
  return storeInPlaces(context, packing, targets);
}
