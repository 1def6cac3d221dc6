import type pg from "pg";
import { formatBytes } from "../../common/format.ts";
import {
  dumpKey,
  type Folder,
  stampOf,
  type Treatment,
} from "../../storage/catalogue/objectKeys.ts";
import { partBytesFor } from "../../storage/upload/partSize.ts";
import { signingKeysOf } from "../archive/trust.ts";
import { type ExistingDatabase, readProperties } from "../postgres/databaseProperties.ts";
import { readServerNeeds, type ServerNeeds } from "../postgres/serverNeeds.ts";
import { type Snapshot, takeSnapshot } from "../postgres/snapshot.ts";
import { wasRestoredHere } from "../restore/kept/records.ts";
import type { AgentContext } from "../runtime/context.ts";
import { errorCode, errorMessage } from "../runtime/errorMessage.ts";
import type { Report } from "../runtime/reporter.ts";
import { describeEncryption } from "../streams/encrypt.ts";
import type { UploadDestination } from "../streams/fanOutUpload.ts";
import {
  CLOCK_REMEDY,
  clockDifference,
  isAnotherServer,
  lostTables,
  snapshotAnomaly,
} from "./anomaly.ts";
import type { ChosenDestinations, Destination } from "./destinations.ts";
import { type DumpExtent, readDumpExtent } from "./dumpExtent.ts";
import { compressionFor } from "./pgDump.ts";
import { chooseTier } from "./tiers.ts";

/** A bucket, and where in it the dump goes. */
export interface DumpDestination extends Destination, UploadDestination {
  readonly folder: Folder;
}

const ACCEPT = "If that is as it should be, accept it once: backup --accept";
const TRANSIENT =
  "Name tables that come and go by design in BACKUP_TRANSIENT_TABLES (the argument transientTables).";

interface DescribedDatabase {
  readonly properties: ExistingDatabase;
  readonly needs: ServerNeeds;
}

/** What a backup will dump, how, and to where. */
export interface DumpPlan {
  readonly snapshot: Snapshot;
  /** Time of the snapshot in UTC, `2026-11-24T03:15:02`. */
  readonly stamp: string;
  /** Number of large objects that the dump will hold: none where its options leave them out. */
  readonly largeObjects: number;
  readonly extent: DumpExtent;
  /** The database itself and what it needs; null: the server does not tell. */
  readonly described: DescribedDatabase | null;
  readonly treatment: Treatment & { readonly compression: ReturnType<typeof compressionFor> };
  readonly recipients: readonly string[];
  /** Why a dump of this snapshot is suspect, known before it is made; null: it is not. */
  readonly anomaly: string | null;
  /** What makes a suspect one good. */
  readonly remedy: string;
  readonly destinations: readonly DumpDestination[];
}

/**
 * Takes the snapshot and plans its dump.
 * @param client its connection holds the snapshot
 * @throws Problem when the snapshot cannot be taken, or the dump's options leave nothing to list
 */
export async function planDump(
  context: AgentContext,
  {
    client,
    pgDumpMajor,
    chosen,
  }: {
    readonly client: pg.Client;
    readonly pgDumpMajor: number;
    readonly chosen: ChosenDestinations;
  },
): Promise<DumpPlan> {
  const { settings, report } = context;
  const { destinations, reference } = chosen;
  const { database } = settings.postgres;
  const extent = await readDumpExtent(settings.postgres, client);
  if (extent.unknown !== undefined) report.warn(extent.unknown);
  if (extent.gap !== undefined) report.warn(`${extent.gap}.`);
  const { contents } = extent;
  const store = destinations[0]?.store;
  const before = store?.serviceTime();
  const snapshot = await takeSnapshot(client, contents?.filled);
  const wrongClock = clockDifference(snapshot.takenAt, {
    before,
    after: store?.serviceTime(),
    name: store?.address.endpoint ?? "AWS",
  });
  const described = await describeDatabase(client, database, report);
  if (snapshot.tables.length === 0) {
    report.warn(`"${database}" has no table. Check POSTGRES_DATABASE if that is not meant.`);
  }
  const stamp = stampOf(snapshot.takenAt);
  const { transientTables } = settings;
  const wasRestored = reference !== null && (await wasFilledByRestore(context, chosen, snapshot));
  const anomaly =
    wrongClock ?? (reference && snapshotAnomaly(snapshot, reference, transientTables, wasRestored));
  const lost = reference === null ? [] : lostTables(snapshot, reference, transientTables);
  const accept = lost.length === 0 ? ACCEPT : `${TRANSIENT} ${ACCEPT}`;
  const { encryption, recipients } = describeEncryption(settings.encryption);
  const treatment = { compression: compressionFor(pgDumpMajor), encryption };
  return {
    snapshot,
    stamp,
    extent,
    described,
    largeObjects: contents?.largeObjects === false ? 0 : snapshot.largeObjects,
    treatment,
    recipients,
    anomaly,
    remedy: wrongClock === null ? accept : CLOCK_REMEDY,
    destinations: destinations.map((destination) => {
      const { prefix, provider } = destination.store.address;
      const tier = destination.tiers ? chooseTier(destination.entries ?? [], stamp) : null;
      const folder = anomaly === null ? tier : "suspect";
      return {
        ...destination,
        folder,
        key: dumpKey(prefix, database, stamp, treatment, folder),
        partBytes: partBytesFor(provider, snapshot.databaseBytes),
      };
    }),
  };
}

/**
 * Whether the database lies on another server than before because a restore has put it there: then it is the one that was
 * backed up. Its tables and its size are compared as ever.
 */
async function wasFilledByRestore(
  { settings, report, signal }: AgentContext,
  { destinations, reference }: ChosenDestinations,
  snapshot: Snapshot,
): Promise<boolean> {
  const store = destinations[0]?.store;
  const server = snapshot.systemIdentifier;
  if (store === undefined || reference === null || server === null) return false;
  if (!isAnotherServer(snapshot, reference)) return false;
  const { database } = settings.postgres;
  try {
    const restored = await wasRestoredHere(store, {
      ...{ database, server, since: reference.takenAt },
      keys: signingKeysOf(settings),
    });
    if (restored)
      report.line(`"${database}" was restored onto this server: it counts as the same.`);
    return restored;
  } catch (error) {
    signal.throwIfAborted();
    report.warn(`the records of restores could not be read: ${errorMessage(error)}`);
    return false;
  }
}

/**
 * Reads in the snapshot's transaction what the manifest says of the database. A server that does not let the role look
 * must not cost the backup: the archive has all of it.
 */
async function describeDatabase(
  client: pg.Client,
  database: string,
  report: Report,
): Promise<DescribedDatabase | null> {
  await client.query("SAVEPOINT describe_database");
  try {
    const properties = await readProperties(client, database);
    return properties && { properties, needs: await readServerNeeds(client) };
  } catch (error) {
    if (errorCode(error)?.length !== 5) throw error;
    report.warn(
      `the owner, locale and settings of "${database}" are not in the manifest, since the server did not give them: ${errorMessage(error)}`,
    );
    return null;
  } finally {
    await client.query("ROLLBACK TO SAVEPOINT describe_database");
  }
}

/** Reports what is dumped and to where. */
export function announceDump(
  report: Report,
  database: string,
  { snapshot, destinations }: DumpPlan,
): void {
  const size = formatBytes(snapshot.databaseBytes);
  const keys = destinations.map(({ name, key }) => (name === "copy" ? `the copy's ${key}` : key));
  report.line(
    `Backing up ${database} (${size}, ${snapshot.tables.length} tables) to ${keys.join(" and ")}`,
  );
}
