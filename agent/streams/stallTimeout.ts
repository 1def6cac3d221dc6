import { Problem } from "../../common/problem.ts";

/** Longest silence of a stream before it counts as dead. */
export const STALL_LIMIT_MS = 15 * 60_000;

/**
 * Aborts a transfer in which nothing has moved for too long, so that a dead peer cannot hold a snapshot, and with it the
 * database's vacuum, for ever.
 */
export class StallTimeout {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;
  #last = performance.now();
  #paused = false;

  /**
   * @param what moves, for the error: `upload of shop_production`
   * @param limitMs longest silence
   */
  constructor(what: string, limitMs: number = STALL_LIMIT_MS) {
    this.#timer = setInterval(
      () => {
        if (this.#paused || performance.now() - this.#last < limitMs) return;
        this.stop();
        this.#controller.abort(
          new Problem(
            `${what}: no byte moved for ${inWords(limitMs)}, so it was given up. Check the network to the storage service and the database's locks, then try again.`,
          ),
        );
      },
      Math.min(limitMs / 4, 5_000),
    );
    this.#timer.unref();
  }

  /** Aborted, with the Problem as its reason, when the limit has passed. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Something moved. */
  touch(): void {
    this.#last = performance.now();
  }

  /** Nothing is expected to move before `resume`: what is waited for is somebody else's. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.touch();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Passes a stream on, noting that it moves. When it has ended nothing moves any more, however long the rest takes. */
  async *watch(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      this.touch();
      yield chunk;
      this.touch();
    }
    this.pause();
  }
}

/** In the largest unit of which there are two at least, as it is no more than rounded then. */
export function inWords(ms: number): string {
  if (ms < 2_000) return `${ms} ms`;
  if (ms < 2 * 60_000) return `${Math.round(ms / 1000)} seconds`;
  return `${Math.round(ms / 60_000)} minutes`;
}
