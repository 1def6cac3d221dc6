import type { Readable, Writable } from "node:stream";
import { printable, printableJson } from "../../common/printable.ts";

/** Where the program's text goes, and where the answer to a question comes from. */
export interface Terminal {
  readonly input: Readable & { readonly isTTY?: boolean };
  readonly out: Writable & { readonly isTTY?: boolean };
  readonly err: Writable & { readonly isTTY?: boolean; readonly columns?: number };
}

/** Colours of `paint`; whatever else begins with the same character comes from elsewhere. */
const ESCAPE = "\u001b";
const COLOUR = new RegExp(`(${ESCAPE}\\[(?:1|2|22|31|32|33|39)m)`);

/** A text with our colours, and nothing else that a terminal would obey. */
export function shown(text: string): string {
  return text
    .split(COLOUR)
    .map((part, index) => (index % 2 === 1 ? part : printable(part)))
    .join("");
}

/**
 * What a command prints. People read lines; a machine reads one JSON document on standard output. Progress is one line on
 * standard error that is redrawn, and only where a terminal is there to redraw it.
 */
export class Screen {
  readonly json: boolean;
  readonly terminal: Terminal;
  #drawn = false;

  constructor(json: boolean, terminal: Terminal) {
    this.json = json;
    this.terminal = terminal;
  }

  /** A line for people. */
  line(text = ""): void {
    this.clear();
    if (!this.json) this.terminal.out.write(`${shown(text)}\n`);
  }

  /** The document for machines. */
  document(value: unknown): void {
    if (this.json) this.terminal.out.write(`${printableJson(value, 2)}\n`);
  }

  /** Something that the reader should know beside the result; on standard error, with --json as well. */
  warn(text: string): void {
    this.clear();
    this.terminal.err.write(`${shown(text)}\n`);
  }

  /** Redraws the progress line. */
  progress(text: string): void {
    const { err } = this.terminal;
    if (this.json || !err.isTTY) return;
    this.clear();
    // A line that wraps could not be taken back.
    err.write(shown(text).slice(0, Math.max(1, (err.columns || 80) - 1)));
    this.#drawn = true;
  }

  /** Takes the progress line away. */
  clear(): void {
    if (!this.#drawn) return;
    this.terminal.err.write("\r\u001b[2K");
    this.#drawn = false;
  }
}
