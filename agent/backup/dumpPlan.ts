import type pg from "pg";
import { formatBytes } from "../../common/format.ts";
import {
  dumpKey,
  type Folder,
  stampOf,
  type Treatment,
} from "../../storage/catalogue/objectKeys.ts";
import { partBytesFor } from "../../storage/upload/partSize.ts";
import { type Snapshot, takeSnapshot } from "../postgres/snapshot.ts";
import type { AgentContext } from "../runtime/context.ts";
import type { Report } from "../runtime/reporter.ts";
import { describeEncryption } from "../streams/encrypt.ts";
import type { UploadDestination } from "../streams/fanOutUpload.ts";
import { snapshotAnomaly } from "./anomaly.ts";
import { CLOCK_REMEDY, clockDifference } from "./clockDifference.ts";
import { compressionFor } from "./compression.ts";
import type { ChosenDestinations, Destination } from "./destinations.ts";
import { listDumpContents } from "./pgDump.ts";
import { chooseTier } from "./tiers.ts";

/** A bucket, and where in it the dump goes. */
export interface DumpDestination extends Destination, UploadDestination {
  readonly folder: Folder;
}

const ACCEPT = "If that is as it should be, accept it once: backup --accept";

/** What a backup will dump, how, and to where. */
export interface DumpPlan {
  readonly snapshot: Snapshot;
  /** Time of the snapshot in UTC, `2026-11-24T03:15:02`. */
  readonly stamp: string;
  /** Number of large objects that the dump will hold: none where its options leave them out. */
  readonly largeObjects: number;
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
  { settings, report }: AgentContext,
  {
    client,
    pgDumpMajor,
    chosen: { destinations, reference },
  }: {
    readonly client: pg.Client;
    readonly pgDumpMajor: number;
    readonly chosen: ChosenDestinations;
  },
): Promise<DumpPlan> {
  const { database, dumpOptions } = settings.postgres;
  const contents = dumpOptions === "" ? undefined : await listDumpContents(settings.postgres);
  const store = destinations[0]?.store;
  const before = store?.serviceTime();
  const snapshot = await takeSnapshot(client, contents?.tables);
  const wrongClock = clockDifference(snapshot.takenAt, {
    before,
    after: store?.serviceTime(),
    name: store?.address.endpoint ?? "AWS",
  });
  if (snapshot.tables.length === 0) {
    report.warn(`"${database}" has no table. Check POSTGRES_DATABASE if that is not meant.`);
  }
  const stamp = stampOf(snapshot.takenAt);
  const anomaly = wrongClock ?? (reference && snapshotAnomaly(snapshot, reference));
  const { encryption, recipients } = describeEncryption(settings.encryption);
  const treatment = { compression: compressionFor(pgDumpMajor), encryption };
  return {
    snapshot,
    stamp,
    largeObjects: contents?.largeObjects === false ? 0 : snapshot.largeObjects,
    treatment,
    recipients,
    anomaly,
    remedy: wrongClock === null ? ACCEPT : CLOCK_REMEDY,
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
