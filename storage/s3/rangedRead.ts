import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "../../common/problem.ts";
import { explain, isMissing, isRefused } from "./errors.ts";
import type { ObjectStore } from "./objectStore.ts";

const TRIES = 5;

/** The service sends the whole object, whatever range it is asked for. */
export class NoRanges extends Problem {
  constructor(key: string) {
    super(`cannot read parts of ${key}: the service sends whole objects only.`);
  }
}

/**
 * Reads some bytes of an object, in one request. One that fails, or breaks off, is tried again from its beginning.
 * @param range `to` is excluded
 * @param onBytes called when some of them have come
 * @throws NoRanges; Problem when they cannot be read after five tries; the signal's reason
 */
export async function readRange(
  store: ObjectStore,
  key: string,
  { from, to }: { readonly from: number; readonly to: number },
  { signal, onBytes }: { readonly signal: AbortSignal; readonly onBytes?: () => void },
): Promise<Buffer> {
  for (let tries = 1; ; tries += 1) {
    signal.throwIfAborted();
    try {
      return await readOnce(store, key, { from, to }, { signal, ...(onBytes && { onBytes }) });
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof NoRanges) throw error;
      if (isMissing(error) || isRefused(error) || tries === TRIES) {
        throw explain(error, store.address, `read ${key}`);
      }
    }
    await sleep(200 * 2 ** (tries - 1), undefined, { signal });
  }
}

async function readOnce(
  store: ObjectStore,
  key: string,
  { from, to }: { readonly from: number; readonly to: number },
  { signal, onBytes }: { readonly signal: AbortSignal; readonly onBytes?: () => void },
): Promise<Buffer> {
  const { stream, start } = await store.getRange(key, { from, to: to - 1 });
  const stop = () => stream.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    if (start !== from) throw new NoRanges(key);
    const bytes = Buffer.allocUnsafeSlow(to - from);
    let at = 0;
    for await (const piece of stream as AsyncIterable<Buffer>) {
      if (at + piece.length > bytes.length) throw new Error("more was sent than was asked for");
      piece.copy(bytes, at);
      at += piece.length;
      onBytes?.();
    }
    if (at < bytes.length) throw new Error(`the connection broke at byte ${from + at}`);
    return bytes;
  } finally {
    signal.removeEventListener("abort", stop);
    stream.destroy();
  }
}
