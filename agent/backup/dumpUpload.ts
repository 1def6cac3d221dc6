import type pg from "pg";
import type { ArchiveIndex, Manifest } from "../../common/contracts/manifest.ts";
import { globalsKey } from "../../storage/catalogue/objectKeys.ts";
import { ArchiveIndexer } from "../archive/toc/archiveIndexer.ts";
import { lossOf } from "../postgres/connection.ts";
import { type CountedTable, countSnapshotRows, type TableRef } from "../postgres/snapshot.ts";
import type { AgentContext } from "../runtime/context.ts";
import { throttled } from "../runtime/reporter.ts";
import { beginHeader } from "../streams/encrypt.ts";
import { fanOutUpload, type StoredObject, type UploadSource } from "../streams/fanOutUpload.ts";
import type { DumpDestination, DumpPlan } from "./dumpPlan.ts";
import type { StartedDump } from "./dumpStart.ts";
import { type Globals, startGlobalsDump } from "./globals.ts";
import { dumpFailure } from "./pgDump.ts";

const UNCOUNTED_SHOWN = 5;

/** What was stored of a plan. */
export interface UploadedDump {
  /** How it ended at each destination, in the plan's order. */
  readonly uploads: readonly Upload[];
  /** The rows of each table in the snapshot. Counted to the end wherever an upload has succeeded. */
  readonly tables: Promise<CountedTable[]>;
  /** Where the parts of the dump lie; undefined: it is not known, as of an archive within zstd. */
  readonly index: ArchiveIndex | undefined;
  /** What pg_dump and pg_dumpall have warned of. */
  readonly warnings: readonly string[];
}

interface Upload {
  readonly destination: DumpDestination;
  readonly dump: PromiseSettledResult<StoredObject>;
  /** The roles and grants beside the dump; null: not taken, or the role may not read them. */
  readonly globals: Manifest["globals"];
}

/**
 * Dumps the plan's snapshot into all of its destinations at once, with the roles and grants, while the rows of the snapshot
 * are counted.
 * @param client its connection holds the snapshot
 */
export async function uploadDump(
  context: AgentContext,
  client: pg.Client,
  { plan, program, warnings }: StartedDump,
): Promise<UploadedDump> {
  const { settings, report, signal } = context;
  let dumping = true;
  const stopped = () => {
    dumping = false;
  };
  program.ended.then(stopped, stopped);
  // Counted on the snapshot's own connection while pg_dump reads on another: the same rows, no time of its own.
  const tables = countSnapshotRows(client, plan.snapshot.tables, {
    isWanted: () => dumping,
    onUncounted: (failed) => {
      if (!signal.aborted) report.warn(uncountedTables(failed, plan.extent));
    },
  });
  tables.catch(() => {});
  const header = beginHeader(settings.encryption);
  const globals = settings.globals
    ? startGlobalsDump(context, header, warnings.reader())
    : undefined;
  const storeGlobals = globals && globalsUpload(globals, plan, settings.postgres.database);
  const { compression, encryption } = plan.treatment;
  const indexer =
    compression === "pg_dump-zstd"
      ? new ArchiveIndexer({ digests: encryption === "none" })
      : undefined;
  const source: UploadSource<DumpDestination> = {
    what: `backup of ${settings.postgres.database}`,
    program,
    header,
    // With the connection that holds it the snapshot is gone, of which pg_dump says only that it does not exist.
    describeFailure: (exit) => lossOf(client)?.message.replace(/\.$/, "") ?? dumpFailure(exit),
    ...(indexer && { onOutput: (piece) => indexer.push(piece) }),
    onProgress: uploadProgress(context),
    beforeComplete: async (destination, live) => {
      await tables;
      await storeGlobals?.at(destination, live);
    },
  };
  const dumps = await fanOutUpload(context, source, plan.destinations).finally(() =>
    globals?.end(),
  );
  // A dump that is given up does not wait for them, and what is stored of them has to be known.
  await storeGlobals?.ended();
  const uploads = plan.destinations.map((destination, index) => ({
    destination,
    dump: dumps[index] as PromiseSettledResult<StoredObject>,
    globals: storeGlobals?.stored.get(destination) ?? null,
  }));
  return { uploads, tables, index: indexer?.index(), warnings: warnings.all };
}

/** Stores the roles and grants once, wherever the dump lies whole. */
function globalsUpload(globals: Globals, { stamp, treatment }: DumpPlan, database: string) {
  const stored = new Map<DumpDestination, Manifest["globals"]>();
  const keyed = ({ store, folder }: DumpDestination) => ({
    store,
    key: globalsKey(store.address.prefix, database, stamp, treatment, folder),
  });
  let storing: ReturnType<Globals["store"]> | undefined;
  let stores: readonly DumpDestination[] = [];
  return {
    /** Where they lie, once it has ended. */
    stored,
    ended: async (): Promise<void> => {
      for (const [index, result] of ((await storing) ?? []).entries()) {
        const destination = stores[index];
        if (result.status === "fulfilled" && destination) stored.set(destination, result.value);
      }
    },
    /** @throws what has failed at this destination */
    at: async (destination: DumpDestination, live: readonly DumpDestination[]): Promise<void> => {
      if (storing === undefined) {
        stores = live;
        storing = globals.store(live.map(keyed));
      }
      const result = (await storing)[live.indexOf(destination)];
      if (result?.status === "rejected") throw result.reason;
    },
  };
}

function uncountedTables(
  failed: ReadonlyMap<TableRef, string>,
  { dataLeftOut }: DumpPlan["extent"],
): string {
  const shown = [...failed]
    .slice(0, UNCOUNTED_SHOWN)
    .map(([{ schema, name }, why]) => `${schema}.${name} (${why})`);
  const isWhole = ![...failed.keys()].some(({ schema, name }) =>
    dataLeftOut.some((table) => table.schema === schema && table.name === name),
  );
  const more = failed.size > shown.length ? ` and ${failed.size - shown.length} more` : "";
  return `not counted, so that a restore cannot compare their rows: ${shown.join(", ")}${more}.${isWhole ? " The backup has them whole." : ""}`;
}

function uploadProgress({ report }: AgentContext): (bytes: number) => void {
  const started = performance.now();
  return throttled((bytes) =>
    report.event({
      event: "progress",
      step: "upload",
      bytes,
      elapsedMs: Math.round(performance.now() - started),
    }),
  );
}
