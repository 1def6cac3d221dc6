import { AgeRanges, type ByteRange } from "../../../common/age/ranges.ts";
import { readRange } from "../../../storage/s3/rangedRead.ts";
import type { AgentContext } from "../../runtime/context.ts";
import { StallTimeout } from "../../streams/stallTimeout.ts";
import type { Decoder } from "../decode.ts";

/** Reads parts of an archive as pg_dump wrote it, decrypted where it is encrypted. */
export interface PlainReader {
  /** Length of the archive. */
  readonly bytes: number;
  /**
   * Fetches one part, in one request, and gives it out in pieces.
   * @throws DamagedObject when it was changed; Problem when it cannot be read
   */
  read(range: ByteRange, signal: AbortSignal): Promise<Iterable<Buffer>>;
}

const PIECE = 256 * 1024;

/**
 * Opens an object for reading parts of it. The end of an encrypted one is read at once: its last chunk alone shows that nothing was cut off.
 * @param decoder of an object that no program has to decode
 * @throws DamagedObject when its end is not where the last chunk is
 */
export async function openPlain(
  { store, signal }: Pick<AgentContext, "store" | "signal">,
  { key, bytes }: { readonly key: string; readonly bytes: number },
  { payload }: Decoder,
): Promise<PlainReader> {
  const fetch = async (range: ByteRange, stopping: AbortSignal) => {
    const stall = new StallTimeout(`reading ${key}`);
    try {
      return await readRange(store, key, range, {
        signal: AbortSignal.any([stopping, stall.signal]),
        onBytes: () => stall.touch(),
      });
    } finally {
      stall.stop();
    }
  };
  if (payload === undefined) {
    return { bytes, read: async (range, stopping) => pieces(await fetch(range, stopping)) };
  }
  const ranges = new AgeRanges(bytes, payload.headerBytes, payload.key);
  const reader: PlainReader = {
    bytes: ranges.plainBytes,
    read: async (range, stopping) =>
      ranges.decrypt(await fetch(ranges.stored(range), stopping), range),
  };
  for (const _ of await reader.read(ranges.lastChunk, signal));
  return reader;
}

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
}
