import { DamagedObject } from "../../../common/age/stream.ts";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { formatBytes } from "../../../common/format.ts";
import { Problem } from "../../../common/problem.ts";
import { digestMismatch, openDownload } from "../../archive/downloadStream.ts";
import type { AgentContext } from "../../runtime/context.ts";
import { throttled } from "../../runtime/reporter.ts";
import type { Plan } from "../plan.ts";
import { loadStream } from "./pgRestore.ts";
import type { TableProgress } from "./pgRestoreOutput.ts";
import { loadFromScratch } from "./scratch.ts";

/**
 * Fills the plan's new database with the object's content, and checks that the object was whole.
 * @param scratch folder to unpack in; absent: streamed
 * @throws Problem that also names the state of the live database
 */
export async function loadObject(context: AgentContext, plan: Plan, scratch: string | undefined) {
  const { settings, report } = context;
  const { entry, manifest, decoder } = plan;
  const started = performance.now();
  const elapsedMs = () => Math.round(performance.now() - started);
  const tables = manifest?.tables.length;
  const onTable = throttled(({ done, table }: TableProgress) =>
    report.event({
      event: "progress",
      step: "restore",
      // An extension may have tables of its own in the dump, which the manifest does not count.
      ...(tables === undefined ? { done } : { done: Math.min(done, tables), total: tables }),
      table,
      elapsedMs: elapsedMs(),
    }),
  );
  const download = await openDownload(context, entry, `restore of ${plan.database}`);
  const { source, signal, onBytes } = download;
  const options = { database: plan.temporaryName, signal, onBytes, onTable };
  const requireWhole = (read: { readonly bytes: number; readonly sha256: string }) => {
    if (manifest !== null) requireUndamaged(manifest, read);
  };
  try {
    const loaded =
      scratch === undefined
        ? await loadStream(settings.postgres, source, decoder, options)
        : await loadFromScratch(settings.postgres, source, decoder, {
            ...options,
            folder: scratch,
            onFetched: (read) => {
              download.fetched();
              requireWhole(read);
            },
          });
    if (loaded.whole) requireWhole(loaded);
    if (loaded.failure !== undefined) throw notRestored(loaded.failure, plan);
    report.line(`Restored and read to the end: ${formatBytes(loaded.bytes)}.`);
    report.event({
      event: "progress",
      step: "restore",
      ...(tables !== undefined && { done: tables, total: tables }),
      elapsedMs: elapsedMs(),
    });
  } catch (error) {
    throw error instanceof DamagedObject ? notRestored(error, plan) : error;
  } finally {
    download.close();
  }
}

function requireUndamaged(
  manifest: Manifest,
  read: { readonly bytes: number; readonly sha256: string },
): void {
  const damage = digestMismatch(manifest, read);
  if (damage === undefined) return;
  throw new Problem(
    `${manifest.object.key} is damaged: ${damage}. The live database was not touched; choose another backup from the list.`,
  );
}

function notRestored(failure: Problem, { database, live }: Plan): Problem {
  const state = live === null ? "Nothing was changed." : `"${database}" was not touched.`;
  return new Problem(`the backup could not be restored: ${failure.message} ${state}`);
}
