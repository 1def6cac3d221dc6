import type { WriteStream } from "node:tty";

/**
 * Where a command says what it does. People read lines; a machine reads one JSON document on standard output. Progress
 * is one line on standard error that is redrawn, and only where a terminal is there to redraw it.
 */
export class Screen {
  readonly json: boolean;
  readonly #out: WriteStream;
  readonly #err: WriteStream;
  #drawn = false;

  constructor(json: boolean, out: WriteStream = process.stdout, err: WriteStream = process.stderr) {
    this.json = json;
    this.#out = out;
    this.#err = err;
  }

  /** A line for people. */
  line(text = ""): void {
    this.clear();
    if (!this.json) this.#out.write(`${text}\n`);
  }

  /** The document for machines. */
  document(value: unknown): void {
    if (this.json) this.#out.write(`${JSON.stringify(value, null, 2)}\n`);
  }

  /** Something that the reader should know beside the result; on standard error, with --json as well. */
  notice(text: string): void {
    this.clear();
    this.#err.write(`${text}\n`);
  }

  /** Redraws the progress line. */
  progress(text: string): void {
    if (this.json || !this.#err.isTTY) return;
    this.clear();
    // A line that wraps could not be taken back.
    this.#err.write(text.slice(0, Math.max(1, (this.#err.columns || 80) - 1)));
    this.#drawn = true;
  }

  /** Takes the progress line away. */
  clear(): void {
    if (!this.#drawn) return;
    this.#err.write("\r\u001b[2K");
    this.#drawn = false;
  }
}
