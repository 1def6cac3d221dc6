import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { uploadStream } from "../../storage/upload/upload.ts";
import type { AgentContext } from "../runtime/context.ts";
import { encrypted, type Head } from "./encrypt.ts";
import { chunksOf, type Ending, type Pipeline, type Program, requireCleanEnd } from "./process.ts";
import { StallWatch } from "./stallTimeout.ts";
import { Tee } from "./tee.ts";

/** Where a stream is stored. */
export interface Target {
  readonly store: ObjectStore;
  readonly key: string;
  readonly partBytes: number;
}

/** An object as stored. */
export interface Stored {
  readonly key: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A program, or `program | zstd`, whose output becomes an object, encrypted if it has a head. */
export interface Packing<T extends Target> {
  /** What it is, for the error of a stall, e.g. `backup of shop`. */
  readonly what: string;
  readonly source: Program | Pipeline;
  readonly head: Head;
  /** Part buffers of each target. @default that of `uploadStream` */
  readonly queue?: number;
  /** Says in a sentence without its full stop how the first program failed. */
  readonly failure: (ending: Ending) => string;
  /** Told the bytes that have arrived where they arrive first. */
  readonly onProgress?: (bytes: number) => void;
  /**
   * Awaited for each target that is still there when the source has ended well and all of them hold it whole, before the
   * object becomes visible there.
   * @param live all of those
   */
  readonly beforeComplete?: (target: T, live: readonly T[]) => Promise<unknown>;
  /** Longest silence of one target, or of the source, milliseconds. @default that of `StallWatch` */
  readonly stallLimitMs?: number;
}

/**
 * Stores what the programs write in one place, or in several at once. It is read, compressed and encrypted once, so that
 * all hold the same bytes, and never faster than the slowest place takes it; memory is bounded by the part buffers of each.
 * A place that fails or stalls is given up alone; a source that fails leaves nothing visible anywhere.
 * @returns how it ended at each target, in their order
 */
export async function storeInPlaces<T extends Target>(
  context: Pick<AgentContext, "signal">,
  packing: Packing<T>,
  targets: readonly T[],
): Promise<PromiseSettledResult<Stored>[]> {
  const { source } = packing;
  const sourceStall = new StallWatch(packing.what, packing.stallLimitMs);
  sourceStall.pause();
  const tee = new Tee(encrypted(chunksOf(source.stdout), packing.head), {
    onAsked: () => sourceStall.resume(),
    onAnswered: () => sourceStall.pause(),
  });
  const signal = AbortSignal.any([context.signal, sourceStall.signal]);
  const whole = new Gathering(targets);
  const end = once(() => requireCleanEnd(source, packing.failure));
  let furthest = 0;
  const sendTo = async (target: T, branch: Branch): Promise<Stored> => {
    const { store, key, partBytes } = target;
    const { queue } = packing;
    const { chunks, stall } = branch;
    try {
      const stored = await uploadStream(store, key, chunks, {
        partBytes,
        ...(queue !== undefined && { queue }),
        signal: AbortSignal.any([signal, stall.signal]),
        onProgress: (bytes) => {
          stall.touch();
          if (bytes <= furthest) return;
          furthest = bytes;
          packing.onProgress?.(bytes);
        },
        beforeComplete: async () => {
          // From here on it waits for the others and for the programs, each of which is watched for itself.
          stall.stop();
          const live = await whole.arrive(target);
          await end();
          await packing.beforeComplete?.(target, live);
        },
      });
      return { key, ...stored };
    } finally {
      stall.stop();
      await chunks.return();
      whole.leave(target);
    }
  };
  // Every branch is there before the first of them reads.
  const branches = targets.map(() => branchOf(tee, packing));
  try {
    return await Promise.allSettled(
      targets.map((target, index) => sendTo(target, branches[index] as Branch)),
    );
  } finally {
    sourceStall.stop();
    source.kill();
    await source.ended;
  }
}

interface Branch {
  readonly chunks: ReturnType<Tee["branch"]>;
  readonly stall: StallWatch;
}

/** A place counts as stalled only while it is the one that is waited for. */
function branchOf(
  tee: Tee,
  { what, stallLimitMs }: Pick<Packing<Target>, "what" | "stallLimitMs">,
) {
  const stall = new StallWatch(what, stallLimitMs);
  const chunks = tee.branch({
    onWaiting: () => stall.pause(),
    onWorking: () => stall.resume(),
  });
  return { chunks, stall };
}

/** Where those that have come through wait until the others have too, or are gone. */
class Gathering<T> {
  readonly #expected: Set<T>;
  readonly #arrived: T[] = [];
  readonly #complete = Promise.withResolvers<readonly T[]>();

  constructor(all: readonly T[]) {
    this.#expected = new Set(all);
  }

  /** @returns all that have arrived, once nobody is waited for any more */
  arrive(one: T): Promise<readonly T[]> {
    this.#arrived.push(one);
    this.leave(one);
    return this.#complete.promise;
  }

  leave(one: T): void {
    this.#expected.delete(one);
    if (this.#expected.size === 0) this.#complete.resolve(this.#arrived);
  }
}

/** Does it at the first call; the later ones get the same result. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= work();
    return result;
  };
}
