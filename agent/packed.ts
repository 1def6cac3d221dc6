import { Problem } from "../storage/problem.ts";
import { uploadStream } from "../storage/upload.ts";
import type { BackupContext } from "./backup.ts";
import { encrypted } from "./encryption.ts";
import { describeEnding, type Ending, type Pipeline } from "./pipeline.ts";
import { StallWatch } from "./stall.ts";

/** A pipeline `program | zstd` whose output becomes an object, encrypted if the settings say so. */
export interface Packing {
  readonly key: string;
  /** What it is, for the error of a stall, e.g. `backup of shop`. */
  readonly what: string;
  readonly pipeline: Pipeline;
  readonly partBytes: number;
  /** Part buffers. @default 3 */
  readonly queue?: number;
  /** Says in a sentence without its full stop how the first program failed. */
  readonly failure: (ending: Ending) => string;
  readonly onProgress?: (bytes: number) => void;
  /** Awaited after both programs have ended well, before the object becomes visible. */
  readonly beforeComplete?: () => Promise<unknown>;
}

/**
 * Stores what a pipeline writes. The object becomes visible only when both programs have said that they were done.
 * @throws Problem; then nothing is visible
 */
export async function storePacked(
  { settings, store, signal }: BackupContext,
  packing: Packing,
): Promise<{ readonly key: string; readonly bytes: number; readonly sha256: string }> {
  const { key, pipeline, queue } = packing;
  const stall = new StallWatch(packing.what);
  const packed = encrypted(pipeline.stdout, settings.encryption);
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
        await requireCleanEnd(pipeline, packing.failure);
        await packing.beforeComplete?.();
      },
    });
    return { key, ...stored };
  } finally {
    stall.stop();
    pipeline.kill();
    await pipeline.ended;
  }
}

/** A stream that merely ends proves nothing: both programs must say that they were done. */
export async function requireCleanEnd(
  pipeline: Pipeline,
  failure: Packing["failure"],
): Promise<void> {
  const { first, second } = await pipeline.ended;
  // A dying compressor takes the first along by SIGPIPE (141): the compressor is the cause then.
  if (second.code !== 0 && (first.code === 0 || first.code === 141)) {
    throw new Problem(`${describeEnding("zstd", second)}. Nothing was stored; try again.`);
  }
  if (first.code !== 0) throw new Problem(`${failure(first)}. Nothing was stored.`);
  if (second.code !== 0) {
    throw new Problem(`${describeEnding("zstd", second)}. Nothing was stored; try again.`);
  }
}
