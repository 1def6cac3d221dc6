import { addAbortSignal } from "node:stream";
import { openObject } from "../storage/download.ts";
import type { Manifest } from "../storage/manifest.ts";
import { Problem } from "../storage/problem.ts";
import { Damaged } from "./ageStream.ts";
import type { BackupContext } from "./backup.ts";
import { load } from "./load.ts";
import type { Plan } from "./plan.ts";
import { readableBytes, throttled } from "./report.ts";
import type { TableProgress } from "./restoreTalk.ts";
import { loadThroughScratch } from "./scratch.ts";
import { StallWatch } from "./stall.ts";

const PROGRESS_EVERY_MS = 1000;

/**
 * Fills the plan's new database with the object's content, and checks that the object was whole.
 * @param scratch folder to unpack in; absent: streamed
 * @throws Problem that says what became of the live database
 */
export async function loadObject(
  { settings, store, report, signal }: BackupContext,
  plan: Plan,
  scratch: string | undefined,
) {
  const { entry, manifest, unpacking } = plan;
  const started = performance.now();
  const stall = new StallWatch(`restore of ${plan.target}`);
  const elapsedMs = () => Math.round(performance.now() - started);
  const progress = throttled(PROGRESS_EVERY_MS, (bytes: number) =>
    report.event({
      event: "progress",
      step: "download",
      bytes,
      total: entry.bytes,
      elapsedMs: elapsedMs(),
    }),
  );
  const tables = manifest?.tables.length;
  const onTable = throttled(PROGRESS_EVERY_MS, ({ done, table }: TableProgress) =>
    report.event({
      event: "progress",
      step: "restore",
      // An extension may have tables of its own in the dump, which the manifest does not count.
      ...(tables === undefined ? { done } : { done: Math.min(done, tables), total: tables }),
      table,
      elapsedMs: elapsedMs(),
    }),
  );
  const { stream } = await openObject(store, entry.key);
  const stopping = AbortSignal.any([signal, stall.signal]);
  addAbortSignal(stopping, stream);
  const options = { database: plan.fresh, signal: stopping, onBytes: progress, onTable };
  const requireWhole = (read: { readonly bytes: number; readonly sha256: string }) => {
    if (manifest !== null) requireUndamaged(manifest, read);
  };
  try {
    const source = stall.watch(stream);
    const loaded =
      scratch === undefined
        ? await load(settings.postgres, source, unpacking, options)
        : await loadThroughScratch(settings.postgres, source, unpacking, {
            ...options,
            folder: scratch,
            onFetched: (read) => {
              // From here on nothing is read from the network, however long pg_restore takes.
              stall.stop();
              requireWhole(read);
            },
          });
    if (loaded.whole) requireWhole(loaded);
    if (loaded.failure !== undefined) throw notRestored(loaded.failure, plan);
    report.line(`Restored and read to the end: ${readableBytes(loaded.bytes)}.`);
    report.event({
      event: "progress",
      step: "restore",
      ...(tables !== undefined && { done: tables, total: tables }),
      elapsedMs: elapsedMs(),
    });
  } catch (error) {
    throw error instanceof Damaged ? notRestored(error, plan) : error;
  } finally {
    stall.stop();
    stream.destroy();
  }
}

function requireUndamaged(
  { object }: Manifest,
  loaded: { readonly bytes: number; readonly sha256: string },
): void {
  if (loaded.bytes === object.bytes && loaded.sha256 === object.sha256) return;
  const found =
    loaded.bytes === object.bytes
      ? `its SHA-256 is ${loaded.sha256}, the manifest says ${object.sha256}`
      : `it has ${loaded.bytes} bytes, the manifest says ${object.bytes}`;
  throw new Problem(
    `${object.key} is damaged: ${found}. The live database was not touched; choose another backup from the list.`,
  );
}

function notRestored(failure: Problem, { target, live }: Plan): Problem {
  const state = live === null ? "Nothing was changed." : `"${target}" was not touched.`;
  return new Problem(`the backup could not be restored: ${failure.message} ${state}`);
}
