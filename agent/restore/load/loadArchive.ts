import { DamagedObject } from "../../../common/age/stream.ts";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { formatBytes } from "../../../common/format.ts";
import { BadBackup, Problem } from "../../../common/problem.ts";
import type { Decoder } from "../../archive/decode.ts";
import { digestMismatch, openDownload } from "../../archive/downloadStream.ts";
import { watchServer } from "../../postgres/connection.ts";
import type { AgentContext } from "../../runtime/context.ts";
import { throttled } from "../../runtime/reporter.ts";
import type { Choice } from "../choice.ts";
import { loadFile, loadStream, type RestoreResult, type RestoreRun } from "./pgRestore.ts";
import type { TableProgress } from "./pgRestoreOutput.ts";
import { unpackInto } from "./scratch.ts";

/** What is loaded into what; a restore's plan. */
export interface Load extends Choice {
  readonly decoder: Decoder;
  /** Name that the database will have. */
  readonly database: string;
  /** Name that it has until it is checked. */
  readonly temporaryName: string;
  /** Connections that load at once, where the archive lies unpacked. */
  readonly jobs: number;
  /** Null: nothing has the first name today. */
  readonly live: object | null;
  /** How the data is got out all the same, for the sentence of a failure. */
  readonly wayOut: string;
}

/** Which part of an archive is restored, and how. */
export type Part = Pick<RestoreRun, "words" | "keepGoing" | "startOnly"> & {
  /** Database to fill. @default the one that the restore makes */
  readonly database?: string;
};

/** Restores a part of the archive that is at hand. */
export type RunPart = (part: Part) => Promise<RestoreResult>;

/**
 * Fills the new database with the object's content, and checks that the object was whole.
 * @param scratch folder to unpack in; absent: streamed
 * @param part.words for pg_restore
 * @throws Problem that also names the state of the live database, and the way out
 */
export async function loadObject(
  context: AgentContext,
  load: Load,
  scratch: string | undefined,
  { words, startOnly = false }: Pick<Part, "words" | "startOnly">,
): Promise<void> {
  const jobs = scratch === undefined ? [] : [`--jobs=${load.jobs}`];
  await withArchive(context, load, scratch, async (run) => {
    const { failure } = await run({ words: [...words, ...jobs], startOnly });
    if (failure !== undefined) throw notRestored(failure, load, ` ${load.wayOut}`);
  });
}

/**
 * Opens the archive to be restored whole, in one part or several, and reports that it was read.
 * @throws Problem when the object is damaged or cannot be read
 */
export async function withArchive(
  context: AgentContext,
  load: Load,
  scratch: string | undefined,
  use: (run: RunPart) => Promise<void>,
): Promise<void> {
  const { report } = context;
  const started = performance.now();
  const tables = load.manifest?.tables.length;
  const { bytes } = await openArchive(context, load, scratch, use);
  report.line(`Restored and read to the end: ${formatBytes(bytes)}.`);
  report.event({
    event: "progress",
    step: "restore",
    ...(tables !== undefined && { done: tables, total: tables }),
    elapsedMs: Math.round(performance.now() - started),
  });
}

/**
 * Opens the archive. Each part is streamed from the bucket; unpacked, the archive is fetched once.
 * @throws Problem when the object is damaged or cannot be read
 */
export async function openArchive(
  context: AgentContext,
  load: Load,
  scratch: string | undefined,
  use: (run: RunPart) => Promise<void>,
): Promise<{ readonly bytes: number }> {
  const { settings, report } = context;
  const { manifest, decoder, temporaryName } = load;
  const started = performance.now();
  const tables = manifest?.tables.length;
  const onTable = throttled(({ done, table }: TableProgress) =>
    report.event({
      event: "progress",
      step: "restore",
      // An extension may have tables of its own in the dump, which the manifest does not count.
      ...(tables === undefined ? { done } : { done: Math.min(done, tables), total: tables }),
      table,
      elapsedMs: Math.round(performance.now() - started),
    }),
  );
  let bytes = 0;
  try {
    if (scratch === undefined) {
      await use((part) =>
        streamed(context, load, async ({ source, signal, onBytes }) => {
          const loaded = await loadStream(settings.postgres, source, decoder, {
            database: temporaryName,
            ...part,
            signal,
            onBytes,
            onTable,
          });
          if (loaded.whole) requireUndamaged(manifest, loaded);
          bytes = Math.max(bytes, loaded.bytes);
          return loaded;
        }),
      );
    } else {
      await streamed(context, load, async (download) => {
        const { source, signal } = download;
        const unpacked = await unpackInto(scratch, source, decoder, download, (file, fetched) => {
          download.fetched();
          if (fetched.whole) requireUndamaged(manifest, fetched);
          return use((part) =>
            loadFile(settings.postgres, file, {
              database: temporaryName,
              ...part,
              signal,
              onTable,
            }),
          );
        });
        if (unpacked.failure !== undefined) {
          if (unpacked.whole) requireUndamaged(manifest, unpacked);
          throw notRestored(unpacked.failure, load);
        }
        bytes = unpacked.bytes;
      });
    }
  } catch (error) {
    throw error instanceof DamagedObject ? notRestored(error, load) : error;
  }
  return { bytes };
}

async function streamed<T>(
  context: AgentContext,
  { entry, database }: Load,
  work: (download: Awaited<ReturnType<typeof openDownload>>) => Promise<T>,
): Promise<T> {
  const download = await openDownload(context, entry, `restore of ${database}`);
  // When everything is read the download has no time limit any more, and pg_restore waits for a frozen server for ever.
  const server = watchServer(context.settings.postgres);
  const signal = AbortSignal.any([download.signal, server.signal]);
  try {
    return await work({ ...download, signal });
  } finally {
    server.stop();
    download.close();
  }
}

function requireUndamaged(
  manifest: Manifest | null,
  read: { readonly bytes: number; readonly sha256: string },
): void {
  const damage = manifest === null ? undefined : digestMismatch(manifest, read);
  if (manifest === null || damage === undefined) return;
  const finding = `${manifest.object.key} is damaged: ${damage}.`;
  throw new BadBackup(
    `${finding} The live database was not touched; choose another backup from the list.`,
    finding,
  );
}

/** @param wayOut as a sentence with a blank in front */
export function notRestored(
  failure: Problem,
  { database, live }: Pick<Load, "database" | "live">,
  wayOut = "",
): Problem {
  const state = live === null ? "Nothing was changed." : `"${database}" was not touched.`;
  const sentence = `the backup could not be restored: ${failure.message}${wayOut} ${state}`;
  return failure instanceof BadBackup
    ? new BadBackup(sentence, `the backup could not be restored: ${failure.message}`)
    : new Problem(sentence);
}
