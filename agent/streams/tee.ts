/** Hears of the source, so that it is known who is waited for. */
export interface SourceListener {
  /** The source was asked for its next chunk. */
  readonly onAsked?: () => void;
  /** It has answered. */
  readonly onAnswered?: () => void;
}

/** Hears of one branch. */
export interface BranchListener {
  /** It waits for its next chunk: for the source, or for another branch. */
  readonly onWaiting?: () => void;
  /** It has a chunk or the end, and is waited for from here on. */
  readonly onWorking?: () => void;
}

interface Reader {
  readonly watch: BranchListener;
  /** Absent while it works on a chunk. */
  waiting?: {
    readonly resolve: (result: IteratorResult<Buffer>) => void;
    readonly reject: (error: unknown) => void;
  };
}

const END: IteratorResult<Buffer> = { done: true, value: undefined };

/**
 * Reads a source once for several readers, in step: the next chunk is asked for when every branch has asked for it, so
 * that nothing is held back and the slowest one rules. The chunk before is the source's own memory again from then on.
 * A branch that has left is waited for no longer; when all have left, the source is stopped.
 */
export class Tee {
  readonly #source: AsyncIterator<Buffer>;
  readonly #watch: SourceListener;
  readonly #readers = new Set<Reader>();
  #asking = false;
  #ended = false;

  constructor(source: AsyncIterable<Buffer>, watch: SourceListener = {}) {
    this.#source = source[Symbol.asyncIterator]();
    this.#watch = watch;
  }

  /** One reader more. All are to be made before any of them begins to read; `return` is how one leaves. */
  branch(watch: BranchListener = {}): Required<AsyncIterableIterator<Buffer>> {
    const reader: Reader = { watch };
    this.#readers.add(reader);
    const leave = () => {
      if (!this.#readers.delete(reader)) return;
      reader.waiting?.resolve(END);
      this.#advance();
    };
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      next: () =>
        new Promise((resolve, reject) => {
          if (!this.#readers.has(reader)) return resolve(END);
          reader.waiting = { resolve, reject };
          watch.onWaiting?.();
          this.#advance();
        }),
      return: async () => {
        leave();
        return END;
      },
      throw: async (error) => {
        leave();
        throw error;
      },
    };
  }

  #advance(): void {
    if (this.#asking || this.#ended) return;
    if (this.#readers.size === 0) {
      this.#ended = true;
      // Not awaited, since a source that hangs would hang us; nobody is left for its failure.
      this.#source.return?.()?.catch(() => {});
      return;
    }
    for (const { waiting } of this.#readers) if (waiting === undefined) return;
    this.#asking = true;
    this.#watch.onAsked?.();
    this.#source.next().then(
      (result) => this.#answer(result.done === true, ({ resolve }) => resolve(result)),
      (error: unknown) => this.#answer(true, ({ reject }) => reject(error)),
    );
  }

  #answer(last: boolean, give: (waiting: NonNullable<Reader["waiting"]>) => void): void {
    this.#asking = false;
    this.#ended = last;
    this.#watch.onAnswered?.();
    const readers = [...this.#readers];
    if (last) this.#readers.clear();
    for (const reader of readers) {
      const { waiting } = reader;
      delete reader.waiting;
      reader.watch.onWorking?.();
      if (waiting !== undefined) give(waiting);
    }
    // All may have left while the source was asked.
    this.#advance();
  }
}
