import { Problem } from "../../common/problem.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { uploadStream } from "../../storage/upload/upload.ts";
import type { AgentContext } from "../runtime/context.ts";
import { encryptedWith, type PendingHeader } from "./encrypt.ts";
import {
  chunksOf,
  type ExitResult,
  type Pipeline,
  type Program,
  requireSuccess,
} from "./process.ts";
import { StallTimeout } from "./stallTimeout.ts";
import { Tee } from "./tee.ts";

/** What zstd makes of nothing: magic number, header, an empty block and a checksum (RFC 8878, section 3.1.1). */
const EMPTY_FRAME_BYTES = 13;

/** Where a stream is uploaded to. */
export interface UploadDestination {
  readonly store: ObjectStore;
  readonly key: string;
  readonly partBytes: number;
}

/** An object as stored. */
export interface StoredObject {
  readonly key: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A program, or `program | zstd`, whose output becomes an object, encrypted if it has an age header. */
export interface UploadSource<T extends UploadDestination> {
  /** What it is, for the error of a stall, e.g. `backup of shop`. */
  readonly what: string;
  readonly program: Program | Pipeline;
  readonly header: PendingHeader;
  /** Part buffers of each destination. @default that of `uploadStream` */
  readonly queue?: number;
  /** Says in a sentence without its full stop how the first program failed. */
  readonly describeFailure: (exit: ExitResult) => string;
  /** Called with each piece that the programs write, before encryption; its memory is not to be kept. */
  readonly onOutput?: (piece: Buffer) => void;
  /** Called with the bytes stored at the fastest destination. */
  readonly onProgress?: (bytes: number) => void;
  /**
   * Awaited for each destination that has not failed, once the source has ended well and all of them hold it whole, before
   * the object becomes visible there.
   * @param live all of those
   */
  readonly beforeComplete?: (destination: T, live: readonly T[]) => Promise<unknown>;
  /** Longest silence of one destination, or of the source, milliseconds. @default that of `StallTimeout` */
  readonly stallLimitMs?: number;
}

/**
 * Uploads what the programs write to one destination, or to several at once. It is read, compressed and encrypted once, so
 * that all hold the same bytes, and never faster than the slowest destination takes it; memory is bounded by the part
 * buffers of each. A destination that fails or stalls is given up alone; a source that fails leaves nothing visible anywhere.
 * @returns how it ended at each destination, in their order
 */
export async function fanOutUpload<T extends UploadDestination>(
  context: Pick<AgentContext, "signal">,
  source: UploadSource<T>,
  destinations: readonly T[],
): Promise<PromiseSettledResult<StoredObject>[]> {
  const { program, what, stallLimitMs } = source;
  const sourceStall = new StallTimeout(what, stallLimitMs);
  sourceStall.pause();
  const output = new Counter(source.onOutput);
  const tee = new Tee(encryptedWith(output.pass(chunksOf(program.stdout)), source.header), {
    onAsked: () => sourceStall.resume(),
    onAnswered: () => sourceStall.pause(),
  });
  const signal = AbortSignal.any([context.signal, sourceStall.signal]);
  const barrier = new Barrier(destinations);
  const end = once(async () => {
    await requireSuccess(program, source.describeFailure);
    // Only now, since a program that has failed before its first byte says better why. An encrypted nothing has bytes.
    if (output.bytes <= EMPTY_FRAME_BYTES) {
      throw new Problem("the backup is empty: its source ended without a byte.");
    }
  });
  let furthest = 0;
  const uploadTo = async (destination: T, branch: Branch): Promise<StoredObject> => {
    const { store, key, partBytes } = destination;
    const { queue } = source;
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
          source.onProgress?.(bytes);
        },
        beforeComplete: async () => {
          // From here on it waits for the others and for the programs, each of which is watched for itself.
          stall.stop();
          const live = await barrier.arrive(destination);
          await end();
          await source.beforeComplete?.(destination, live);
        },
      });
      return { key, ...stored };
    } finally {
      stall.stop();
      await chunks.return();
      barrier.leave(destination);
    }
  };
  // Every branch is there before the first of them reads.
  const branches = destinations.map(() => branchOf(tee, source));
  try {
    return await Promise.allSettled(
      destinations.map((destination, index) => uploadTo(destination, branches[index] as Branch)),
    );
  } finally {
    sourceStall.stop();
    program.kill();
    await program.ended;
  }
}

interface Branch {
  readonly chunks: ReturnType<Tee["branch"]>;
  readonly stall: StallTimeout;
}

/** A destination counts as stalled only while it is the one that is waited for. */
function branchOf(
  tee: Tee,
  { what, stallLimitMs }: Pick<UploadSource<UploadDestination>, "what" | "stallLimitMs">,
) {
  const stall = new StallTimeout(what, stallLimitMs);
  const chunks = tee.branch({
    onWaiting: () => stall.pause(),
    onWorking: () => stall.resume(),
  });
  return { chunks, stall };
}

/** Counts what passes by. */
class Counter {
  bytes = 0;
  readonly #onOutput: ((piece: Buffer) => void) | undefined;

  constructor(onOutput: ((piece: Buffer) => void) | undefined) {
    this.#onOutput = onOutput;
  }

  async *pass(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      this.bytes += chunk.length;
      this.#onOutput?.(chunk);
      yield chunk;
    }
  }
}

/** Where those that have stored everything wait until the others have too, or have failed. */
class Barrier<T> {
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
