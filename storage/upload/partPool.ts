/** A part whose bytes are final. The buffer belongs to the pool again once the part is released. */
export interface FullPart {
  /** From 1, in stream order. */
  readonly number: number;
  readonly bytes: Buffer;
}

/**
 * A fixed number of equal buffers that a stream is cut into. Whoever fills it writes into `room()` and says how much
 * with `advance()`, so that a cipher can put its output straight where it is sent from. When all buffers are on their
 * way, `room()` waits for one to come back: that is the back-pressure on the source.
 */
export class PartPool {
  readonly #partBytes: number;
  readonly #limit: number;
  readonly #send: (part: FullPart) => Promise<void>;
  readonly #free: Buffer[] = [];
  readonly #inFlight = new Set<Promise<void>>();
  #allocated = 0;
  #current: Buffer | undefined;
  #filled = 0;
  #parts = 0;

  /**
   * @param partBytes size of each part, the last excepted
   * @param limit number of buffers
   * @param send sends one part; must not reject but report failures itself, the pool only waits
   */
  constructor(partBytes: number, limit: number, send: (part: FullPart) => Promise<void>) {
    this.#partBytes = partBytes;
    this.#limit = limit;
    this.#send = send;
  }

  /** Writable rest of the current part, at least one byte; waits while all buffers are on their way. */
  async room(): Promise<Buffer> {
    this.#current ??= await this.#take();
    return this.#current.subarray(this.#filled);
  }

  /** Says that `count` bytes of `room()` are final. A part that is full goes out. */
  advance(count: number): void {
    this.#filled += count;
    if (this.#filled === this.#partBytes) this.flush();
  }

  /** Sends what is there as a part, if anything is. */
  flush(): void {
    const buffer = this.#current;
    if (buffer === undefined || this.#filled === 0) return;
    this.#parts += 1;
    const part = { number: this.#parts, bytes: buffer.subarray(0, this.#filled) };
    this.#current = undefined;
    this.#filled = 0;
    const sent = this.#send(part).finally(() => {
      this.#free.push(buffer);
      this.#inFlight.delete(sent);
    });
    this.#inFlight.add(sent);
  }

  /** Waits until no part is on its way. */
  async drained(): Promise<void> {
    await Promise.all(this.#inFlight);
  }

  async #take(): Promise<Buffer> {
    if (this.#free.length === 0 && this.#allocated < this.#limit) {
      this.#allocated += 1;
      return Buffer.allocUnsafeSlow(this.#partBytes);
    }
    let buffer = this.#free.pop();
    while (buffer === undefined) {
      await Promise.race(this.#inFlight);
      buffer = this.#free.pop();
    }
    return buffer;
  }
}
