import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { DamagedObject } from "../../../../common/age/stream.ts";
import { formatBytes } from "../../../../common/format.ts";
import { Problem } from "../../../../common/problem.ts";
import { type IndexedArchive, readBlocks } from "../../../archive/indexedArchive.ts";
import type { TocEntry } from "../../../archive/toc/grammar.ts";
import { watchServer } from "../../../postgres/connection.ts";
import type { AgentContext } from "../../../runtime/context.ts";
import { type Load, notRestored } from "../loadArchive.ts";
import { jobsOf } from "./jobs.ts";
import { PartsProgress } from "./progress.ts";
import { Queue } from "./queue.ts";
import { runPart } from "./runPart.ts";
import { sectionsOf } from "./sections.ts";

/** What is restored of an archive of which any part can be read. */
export interface PartsLoad {
  readonly archive: IndexedArchive;
  readonly wanted: (id: number) => boolean;
  /** Words for pg_restore. */
  readonly words: readonly string[];
  /** Connections that load at once. */
  readonly jobs: number;
}

/**
 * Fills the new database by several connections at once, straight from the bucket: the definitions, then the data, of
 * which each connection fetches what it loads, then the rest. Nothing but what is wanted is read.
 * @throws Problem that also names the state of the live database, and the way out
 */
export async function loadParts(
  context: AgentContext,
  load: Load,
  { archive, wanted, words, jobs }: PartsLoad,
): Promise<void> {
  const { settings, report } = context;
  const sections = sectionsOf(archive.toc.entries, wanted);
  const progress = new PartsProgress(report, archive, sections.data, load.manifest?.tables.length);
  const failed = new AbortController();
  const server = watchServer(settings.postgres);
  const signal = AbortSignal.any([context.signal, server.signal, failed.signal]);
  const common = { database: load.temporaryName, words, signal };
  const made = new Set<number>();
  const cut = (ids: ReadonlySet<number>) => archive.toc.cut(({ id }) => ids.has(id));
  const runData = (entries: readonly TocEntry[]) => {
    const ids = entries.map(({ id }) => id);
    const blocks = readBlocks(archive, ids, signal, (bytes) => progress.fetched(bytes));
    const onTable = progress.ofRun();
    return runPart(settings.postgres, joined(cut(new Set(ids)), blocks), { ...common, onTable });
  };
  const runIndex = async ({ id }: TocEntry) => {
    await runPart(settings.postgres, Readable.from([cut(new Set([id]))]), common);
    made.add(id);
  };
  try {
    if (sections.first.size > 0) {
      await runPart(settings.postgres, Readable.from([cut(sections.first)]), common);
    }
    const work = new Queue(jobsOf(sections, archive.blocks), { runData, runIndex });
    await work.run(jobs, (error) => failed.abort(error));
    const rest = new Set(sections.last.map(({ id }) => id).filter((id) => !made.has(id)));
    if (rest.size > 0) await restoreFile(context, cut(rest), { ...common, jobs });
  } catch (error) {
    context.signal.throwIfAborted();
    const cause = failed.signal.aborted ? failed.signal.reason : error;
    if (cause instanceof DamagedObject) throw notRestored(cause, load);
    throw cause instanceof Problem ? notRestored(cause, load, ` ${load.wayOut}`) : cause;
  } finally {
    server.stop();
  }
  progress.end();
  report.line(
    `Restored from ${formatBytes(progress.bytes)} of the archive's ${formatBytes(archive.reader.bytes)}, by ${jobs} ${jobs === 1 ? "connection" : "connections"} at once.`,
  );
}

async function* joined(toc: Buffer, blocks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield toc;
  yield* blocks;
}

/** What is left needs nothing but itself, so it fits into a small file, from which pg_restore takes several connections. */
async function restoreFile(
  { settings }: AgentContext,
  archive: Buffer,
  run: Parameters<typeof runPart>[2] & { readonly jobs: number },
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "restore-rest-"));
  try {
    const file = join(folder, "archive");
    await writeFile(file, archive, { mode: 0o600 });
    const words = [...run.words, `--jobs=${run.jobs}`, file];
    await runPart(settings.postgres, Readable.from([]), { ...run, words });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
