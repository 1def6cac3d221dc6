import { addAbortSignal } from "node:stream";
import type { Manifest } from "../../common/contracts/manifest.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { openObject } from "../../storage/s3/download.ts";
import { type AgentContext, untilStopped } from "../runtime/context.ts";
import { throttled } from "../runtime/reporter.ts";
import { StallTimeout } from "../streams/stallTimeout.ts";

/** A backup's object on its way from the bucket. */
export interface Download {
  readonly source: AsyncIterable<Buffer>;
  /** Aborted when the run is stopped, or nothing has moved for too long. */
  readonly signal: AbortSignal;
  /** Reports the progress; called with the number of bytes read so far. */
  readonly onBytes: (bytes: number) => void;
  /** Nothing more is read from the network, however long the rest takes. */
  fetched(): void;
  close(): void;
}

/**
 * Opens an object to be read to its end.
 * @param what is done with it, for the error when nothing moves: `restore of shop_production`
 */
export async function openDownload(
  { store, report, signal }: AgentContext,
  { key, bytes: total }: Pick<CatalogueEntry, "key" | "bytes">,
  what: string,
): Promise<Download> {
  const started = performance.now();
  const stall = new StallTimeout(what);
  const stopping = AbortSignal.any([signal, stall.signal]);
  const { stream } = await untilStopped(stopping, openObject(store, key), (late) =>
    late.stream.destroy(),
  );
  // It may be aborted before anybody reads it; whoever does gets the error.
  stream.on("error", () => {});
  addAbortSignal(stopping, stream);
  const reportRead = (bytes: number) =>
    report.event({
      event: "progress",
      step: "download",
      bytes,
      total,
      elapsedMs: Math.round(performance.now() - started),
    });
  return {
    source: untilEnd(stall.watch(stream), () => reportRead(total)),
    signal: stopping,
    onBytes: throttled(reportRead),
    fetched: () => stall.stop(),
    close: () => {
      stall.stop();
      stream.destroy();
    },
  };
}

/** Also reports that everything was read, which a report once a second would leave out. */
async function* untilEnd(
  source: AsyncIterable<Buffer>,
  onEnd: () => void,
): AsyncGenerator<Buffer, void> {
  yield* source;
  onEnd();
}

/** How an object that was read whole differs from what its manifest says; undefined when it does not. */
export function digestMismatch(
  { object }: Manifest,
  read: { readonly bytes: number; readonly sha256: string },
): string | undefined {
  if (read.bytes !== object.bytes) {
    return `it has ${read.bytes} bytes, the manifest says ${object.bytes}`;
  }
  if (read.sha256 === object.sha256) return undefined;
  return `its SHA-256 is ${read.sha256}, the manifest says ${object.sha256}`;
}
