import { createHash, type Hash, randomUUID } from "node:crypto";
import { Problem } from "../../common/problem.ts";
import { explain } from "../s3/errors.ts";
import type { ObjectStore } from "../s3/objectStore.ts";
import { MultipartUpload } from "./multipart.ts";
import { type FullPart, PartPool } from "./partPool.ts";
import { largestPart, smallestPart, usualQueue } from "./partSize.ts";

export interface UploadOptions {
  /** Size of each part, the last excepted; see `partBytesFor`. */
  readonly partBytes: number;
  /** Number of part buffers, and so of parts on their way at once. @default 20 MiB of them, but at least 2 */
  readonly queue?: number;
  /** Stops the upload; nothing becomes visible. */
  readonly signal?: AbortSignal;
  /** User metadata of the object. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Called after each acknowledged part with the bytes acknowledged so far. */
  readonly onProgress?: (bytes: number) => void;
  /**
   * Awaited when the source has ended and all its parts are acknowledged, before the object becomes visible. Throws
   * when the source must not be trusted, e.g. because its process ended with a code other than 0.
   */
  readonly beforeComplete: () => Promise<void>;
}

/** What is stored now. */
export interface Uploaded {
  readonly bytes: number;
  /** SHA-256 of the stored bytes, lower-case hex. */
  readonly sha256: string;
}

/**
 * Uploads a stream under a new key, in parts, with bounded memory: `queue` buffers of `partBytes`. Whatever goes wrong
 * (source, service, signal, `beforeComplete`), the parts are dropped, nothing becomes visible, and the error is thrown.
 * @param source a chunk is copied before the next one is asked for, so that the source may use its memory again
 * @throws Problem when the service refuses or fails, the key exists, or the source was empty; else what the source,
 * `beforeComplete` or the signal gave
 */
export async function uploadStream(
  store: ObjectStore,
  key: string,
  source: AsyncIterable<Buffer>,
  options: UploadOptions,
): Promise<Uploaded> {
  if (options.partBytes < smallestPart || options.partBytes > largestPart) {
    throw new Problem(`parts of ${options.partBytes} bytes: S3 takes 5 MiB to 5 GiB.`);
  }
  options.signal?.throwIfAborted();
  const explained = (error: unknown) => explain(error, store.address, `upload ${key}`);
  const upload = await begun(
    MultipartUpload.create(store, key, randomUUID(), options.metadata ?? {}),
    options.signal,
  ).catch((error: unknown) => {
    throw explained(error);
  });
  const run = new Run(upload, options, store.address.provider.maxParts, explained);
  try {
    return await run.finish(source);
  } catch (error) {
    await run.drop().catch((leftover: unknown) => {
      throw withLeftover(error, leftover);
    });
    throw error;
  }
}

/** Waits no longer than the signal allows; an upload that the service then begins all the same is dropped. */
async function begun(
  beginning: Promise<MultipartUpload>,
  signal: AbortSignal | undefined,
): Promise<MultipartUpload> {
  const stopped = Promise.withResolvers<never>();
  const stop = () => stopped.reject(signal?.reason);
  signal?.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([beginning, stopped.promise]);
  } catch (error) {
    beginning.then((late) => late.abort()).catch(() => {});
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** The first failure, with a word on the parts that could not be dropped. */
function withLeftover(error: unknown, leftover: unknown): Error {
  const [first, second] = [error, leftover].map((e) =>
    e instanceof Error ? e : new Error(String(e)),
  );
  const message = `${first?.message} Besides: ${second?.message} Its parts stay until the bucket's rule for unfinished uploads removes them.`;
  return first instanceof Problem
    ? new Problem(message, { cause: first })
    : new Error(message, { cause: first });
}

/** The course of one upload: source, part buffers, parts, and the first failure, which ends it. */
class Run {
  readonly #upload: MultipartUpload;
  readonly #options: UploadOptions;
  readonly #maxParts: number;
  readonly #explained: (error: unknown) => Error;
  readonly #pool: PartPool;
  readonly #hash: Hash = createHash("sha256");
  readonly #stop = new AbortController();
  /** The first failure of a part, or the caller's reason to stop. */
  #failure: { readonly error: unknown } | undefined;
  /** Rejects what is being waited for just now. */
  #interrupt: ((error: unknown) => void) | undefined;
  #taken = 0;
  #acknowledged = 0;

  constructor(
    upload: MultipartUpload,
    options: UploadOptions,
    maxParts: number,
    explained: (error: unknown) => Error,
  ) {
    this.#upload = upload;
    this.#options = options;
    this.#maxParts = maxParts;
    this.#explained = explained;
    this.#pool = new PartPool(
      options.partBytes,
      options.queue ?? usualQueue(options.partBytes),
      (part) => this.#send(part).catch((error: unknown) => this.#fail(this.#explained(error))),
    );
    options.signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  async finish(source: AsyncIterable<Buffer>): Promise<Uploaded> {
    await this.#fill(source);
    this.#pool.flush();
    await this.#orFailure(this.#pool.drained());
    await this.#orFailure(this.#options.beforeComplete());
    if (this.#taken === 0)
      throw new Problem("the backup is empty: its source ended without a byte.");
    await this.#upload.complete().catch((error: unknown) => {
      throw this.#explained(error);
    });
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    return { bytes: this.#taken, sha256: this.#hash.digest("hex") };
  }

  /** Stops the parts on their way, waits for them, and drops the upload. */
  async drop(): Promise<void> {
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#stop.abort();
    await this.#pool.drained();
    await this.#upload.abort();
  }

  /** Copies the source into the part buffers. A chunk is done with before the next one is asked for. */
  async #fill(source: AsyncIterable<Buffer>): Promise<void> {
    const iterator = source[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.#orFailure(iterator.next());
        if (next.done === true) return;
        // Now, while the processor still has it at hand.
        this.#hash.update(next.value);
        this.#taken += next.value.length;
        for (let at = 0; at < next.value.length; ) {
          const room = await this.#orFailure(this.#pool.room());
          const copied = next.value.copy(room, 0, at);
          at += copied;
          this.#pool.advance(copied);
        }
      }
    } catch (error) {
      // Tells the source to stop. Not awaited, since a source that hangs would hang us; its own failure comes second.
      iterator.return?.()?.catch(() => {});
      throw error;
    }
  }

  async #send(part: FullPart): Promise<void> {
    if (part.number > this.#maxParts) {
      throw new Problem(
        `the backup needs more than the ${this.#maxParts} parts that the service takes: it is larger than was estimated. Run it again.`,
      );
    }
    await this.#upload.send(part, this.#stop.signal);
    this.#acknowledged += part.bytes.length;
    this.#options.onProgress?.(this.#acknowledged);
  }

  readonly #onAbort = () => this.#fail(this.#options.signal?.reason);

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#stop.abort();
    this.#interrupt?.(this.#failure.error);
  }

  /**
   * Waits for the work or for the first failure. Not `Promise.race` with one long-lived promise: that would keep a
   * listener for every chunk until the end of the upload.
   */
  #orFailure<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        work.catch(() => {});
        reject(this.#failure.error);
        return;
      }
      this.#interrupt = reject;
      work.then(resolve, reject);
    });
  }
}
