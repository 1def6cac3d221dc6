import { partialText } from "../../common/contracts/leftOut.ts";
import { LARGEST_MANIFEST, type Manifest, totalRows } from "../../common/contracts/manifest.ts";
import { signManifest } from "../../common/contracts/manifestMac.ts";
import { formatBytes } from "../../common/format.ts";
import { messageOf, Problem } from "../../common/problem.ts";
import { manifestKey } from "../../storage/catalogue/objectKeys.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { putNew } from "../../storage/upload/conditionalPut.ts";
import { UncertainWrite } from "../../storage/upload/writeCheck.ts";
import { signingKeysOf } from "../archive/trust.ts";
import type { Server } from "../postgres/connection.ts";
import type { ExistingDatabase } from "../postgres/databaseProperties.ts";
import type { CountedTable } from "../postgres/snapshot.ts";
import type { AgentContext } from "../runtime/context.ts";
import type { Report } from "../runtime/reporter.ts";
import { sizeAnomaly } from "./anomaly.ts";
import type { DestinationResults } from "./destinationResults.ts";
import type { Destination } from "./destinations.ts";
import { type StoredIndex, storeIndex } from "./dumpIndex.ts";
import type { DumpDestination, DumpPlan } from "./dumpPlan.ts";
import type { UploadedDump } from "./dumpUpload.ts";
import { removeOrphanedGlobals } from "./globals.ts";

/** What a manifest says of the run that made it. */
export interface RunFacts {
  readonly server: Server;
  readonly pgDump: { readonly line: string; readonly major: number };
  /** By `performance.now()`. */
  readonly started: number;
}

interface Commit {
  readonly plan: DumpPlan;
  readonly uploaded: UploadedDump;
  /** The backup to compare with; null: there is none, or the difference is accepted. */
  readonly reference: Manifest | null;
  readonly facts: RunFacts;
}

/** Writes the manifest wherever the dump was stored: only then the backup exists there. */
export async function commitUploads(
  context: AgentContext,
  commit: Commit,
  results: DestinationResults,
): Promise<void> {
  const { settings, report } = context;
  const { plan, uploaded, reference } = commit;
  for (const warning of uploaded.warnings) report.warn(`pg_dump warned: ${warning}`);
  const { database } = settings.postgres;
  for (const { destination, dump, globals } of uploaded.uploads) {
    const { name } = destination;
    if (dump.status === "rejected") {
      if (globals !== null) await removeOrphanedGlobals(context, destination.store, globals.key);
      results.recordFailure(name, dump.reason);
      continue;
    }
    const object = dump.value;
    const tables = await uploaded.tables;
    const size = { ...plan.treatment, bytes: object.bytes, tables };
    const suspect = plan.anomaly ?? (reference && sizeAnomaly(size, reference, settings));
    await results.attempt(name, async () => {
      const unsigned = manifestOf(commit, destination, {
        database,
        object,
        globals,
        suspect,
        tables,
        index: await storeIndex(context, destination.store, object.key, uploaded.index),
      });
      const manifest = signManifest(unsigned, signingKeysOf(settings));
      await commitBackup(report, destination, manifest);
      results.recordStored(name, manifest);
    });
  }
}

function manifestOf(
  { plan, uploaded: { warnings }, facts: { server, pgDump, started } }: Commit,
  { folder }: DumpDestination,
  stored: Pick<Manifest, "database" | "object" | "globals" | "suspect"> & {
    readonly tables: CountedTable[];
    readonly index: StoredIndex | undefined;
  },
): Manifest {
  const { snapshot, stamp, treatment, recipients, largeObjects, extent, described } = plan;
  const { options, tablesLeftOut, dataLeftOut, otherLeftOut, gap } = extent;
  const { database, object, globals, suspect, tables, index } = stored;
  return {
    version: 1,
    database,
    takenAt: `${stamp}Z`,
    object,
    globals,
    format: "pg_dump-custom",
    ...treatment,
    recipients: [...recipients],
    tier: folder === "suspect" ? null : folder,
    suspect,
    server: {
      ...server,
      systemIdentifier: snapshot.systemIdentifier,
      lsn: snapshot.lsn,
      ...(described && { bootstrapRole: described.needs.bootstrapRole }),
    },
    pgDump: pgDump.line,
    databaseBytes: snapshot.databaseBytes,
    tables,
    largeObjects,
    durationMs: Math.round(performance.now() - started),
    ...(described && {
      properties: inClear(described.properties, treatment),
      extensions: [...described.needs.extensions],
      roles: [...described.needs.roles],
    }),
    dump: {
      options: [...options],
      tablesLeftOut: [...tablesLeftOut],
      dataLeftOut: [...dataLeftOut],
      otherLeftOut,
      warnings: [...(gap === undefined ? [] : [gap]), ...warnings],
    },
    ...(index && { index }),
  };
}

/**
 * The properties as the manifest may have them, which is never encrypted: applications keep secrets in settings, and a
 * comment or a label may say anything.
 */
function inClear(
  { oid: _, comment, settings, labels, ...properties }: ExistingDatabase,
  { encryption }: Pick<Manifest, "encryption">,
): NonNullable<Manifest["properties"]> {
  if (encryption === "none") return { ...properties, comment, settings, labels };
  return {
    ...properties,
    settings: settings.map(({ role, name }) => ({ role, name })),
    labels: labels.map(({ provider }) => ({ provider })),
  };
}

/**
 * Makes a stored dump count: writes its manifest, and reports it.
 * @throws Problem when it cannot be written; then the dump does not count
 */
async function commitBackup(
  report: Report,
  { name, store }: Pick<Destination, "name" | "store">,
  manifest: Manifest,
): Promise<void> {
  const { database, takenAt, object, suspect, tier, tables, durationMs } = manifest;
  // What shrank is known only when it lies where good ones do; its manifest's folder is what makes it a suspect one.
  const folder = suspect === null ? tier : "suspect";
  const stamp = takenAt.replace(/Z$/, "");
  await putManifest(store, manifestKey(store.address.prefix, database, stamp, folder), manifest);
  report.line(
    `${name === "copy" ? "Copy" : "Backup"} ${suspect === null ? "complete" : "stored as suspect"}: ${formatBytes(object.bytes)}, ${tables.length} tables, ${totalRows(manifest)} rows, ${(durationMs / 1000).toFixed(1)} s`,
  );
  const partial = partialText(manifest);
  if (partial !== null) report.line(`The backup is ${partial}, by PGDUMP_EXTRA_OPTS.`);
  report.event({ event: name === "copy" ? "copied" : "backup", manifest });
}

async function putManifest(store: ObjectStore, key: string, manifest: Manifest): Promise<void> {
  try {
    await putNew(store, key, manifestText(manifest), "application/json");
  } catch (error) {
    if (error instanceof UncertainWrite) {
      throw new Problem(
        `the dump was stored as ${manifest.object.key}, but nobody knows whether its manifest ${key} was, too (${error.message}). If list shows this backup without a remark, it counts; else take another one.`,
        { cause: error },
      );
    }
    throw new Problem(
      `the dump was stored as ${manifest.object.key}, but its manifest ${key} could not be written (${messageOf(error)}). Without it this backup does not count; take another one.`,
      { cause: error },
    );
  }
}

/**
 * As text, in lines where that is not too large for a reader.
 * @throws Problem when no reader would take it, so that the backup could not be restored
 */
function manifestText(manifest: Manifest): string {
  for (const indent of [2, 0]) {
    const text = `${JSON.stringify(manifest, null, indent)}\n`;
    if (Buffer.byteLength(text) <= LARGEST_MANIFEST) return text;
  }
  throw new Problem(
    `it would be larger than ${formatBytes(LARGEST_MANIFEST)}: the database has ${manifest.tables.length} tables. Back up parts of it, PGDUMP_EXTRA_OPTS=--exclude-table=...`,
  );
}
