import { Problem } from "../storage/problem.ts";
import { uploadStream } from "../storage/upload.ts";
import type { BackupContext } from "./backup.ts";
import { encrypted, type Head } from "./encryption.ts";
import {
  chunksOf,
  describeEnding,
  type Ending,
  type Pipeline,
  type Program,
  SIGPIPE,
} from "./pipeline.ts";
import { StallWatch } from "./stall.ts";

/** A program, or `program | zstd`, whose output becomes an object, encrypted if it has a head. */
export interface Packing {
  readonly key: string;
  /** What it is, for the error of a stall, e.g. `backup of shop`. */
  readonly what: string;
  readonly source: Program | Pipeline;
  readonly head: Head;
  readonly partBytes: number;
  /** Part buffers. @default that of `uploadStream` */
  readonly queue?: number;
  /** Says in a sentence without its full stop how the first program failed. */
  readonly failure: (ending: Ending) => string;
  readonly onProgress?: (bytes: number) => void;
  /** Awaited after the programs have ended well, before the object becomes visible. */
  readonly beforeComplete?: () => Promise<unknown>;
}

/**
 * Stores what the programs write. The object becomes visible only when all of them have said that they were done.
 * @throws Problem; then nothing is visible
 */
export async function storePacked(
  { store, signal }: Pick<BackupContext, "store" | "signal">,
  packing: Packing,
): Promise<{ readonly key: string; readonly bytes: number; readonly sha256: string }> {
  const { key, source, queue } = packing;
  const stall = new StallWatch(packing.what);
  const packed = encrypted(chunksOf(source.stdout), packing.head);
  try {
    const stored = await uploadStream(store, key, stall.watch(packed), {
      partBytes: packing.partBytes,
      ...(queue !== undefined && { queue }),
      signal: AbortSignal.any([signal, stall.signal]),
      onProgress: (bytes) => {
        stall.touch();
        packing.onProgress?.(bytes);
      },
      beforeComplete: async () => {
        stall.stop();
        await requireCleanEnd(source, packing.failure);
        await packing.beforeComplete?.();
      },
    });
    return { key, ...stored };
  } finally {
    stall.stop();
    source.kill();
    await source.ended;
  }
}

/** A stream that merely ends proves nothing: the programs must say that they were done. */
export async function requireCleanEnd(source: Packing["source"], failure: Packing["failure"]) {
  const ended = await source.ended;
  const { first, second } = "first" in ended ? ended : { first: ended, second: undefined };
  // A dying compressor takes the first along by SIGPIPE: the compressor is the cause then.
  const takenAlong = first.code === SIGPIPE && second !== undefined && second.code !== 0;
  if (first.code !== 0 && !takenAlong) {
    throw new Problem(`${failure(first)}. Nothing was stored.`);
  }
  if (second !== undefined && second.code !== 0) {
    throw new Problem(`${describeEnding("zstd", second)}. Nothing was stored; try again.`);
  }
}
