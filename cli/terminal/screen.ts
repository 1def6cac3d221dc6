import type { Readable, Writable } from "node:stream";
import { printable, printableJson } from "../../common/printable.ts";
import { type Column, renderTable, width, wrap } from "./render.ts";

/** A place for text; `columns` where it is a terminal. */
type Output = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** Where the program's text goes, and where the answer to a question comes from. */
export interface Terminal {
  readonly input: Readable & { readonly isTTY?: boolean };
  readonly out: Output;
  readonly err: Output;
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

const FRAMES = ["|", "/", "-", "\\"] as const;
const FRAME_MS = 120;
/** Without a terminal: how often a line of progress is printed, and how long one may be the last. */
const LINE_MS = 5_000;
const SILENCE_MS = 30_000;
/** What a terminal has that does not say it. */
const USUAL_COLUMNS = 80;

/**
 * What a command prints. People read lines, which on a terminal are broken between words; a machine reads one JSON document
 * on standard output. What goes on stands in one line on standard error that is redrawn; where no terminal is there to redraw
 * it, in a line every few seconds.
 */
export class Screen {
  readonly json: boolean;
  readonly terminal: Terminal;
  #drawn = false;
  #timer: NodeJS.Timeout | undefined;
  #frame = 0;
  /** What goes on, the most important part first; none: nothing does. */
  #parts: readonly string[] = [];
  /** Last line of progress, without a terminal. */
  #printed = { text: "", step: "", at: 0 };

  constructor(json: boolean, terminal: Terminal) {
    this.json = json;
    this.terminal = terminal;
  }

  /** A line for people. */
  line(text = ""): void {
    if (this.json) return;
    this.#write(this.terminal.out, wrap(text, roomOf(this.terminal.out)));
  }

  /** A line to be copied, which is never broken. */
  exactLine(text: string): void {
    if (!this.json) this.#write(this.terminal.out, [text]);
  }

  /**
   * A table for people.
   * @param indent number of blanks before each line
   * @param notes as of `renderTable`
   */
  table(
    columns: readonly Column[],
    rows: readonly (readonly string[])[],
    {
      indent = 0,
      notes,
    }: { readonly indent?: number; readonly notes?: readonly (string | undefined)[] } = {},
  ): void {
    if (this.json) return;
    const room = roomOf(this.terminal.out);
    const fit = { room: room && room - indent, ...(notes && { notes }) };
    const lines = renderTable(columns, rows, fit);
    this.#write(
      this.terminal.out,
      lines.map((line) => (line === "" ? "" : " ".repeat(indent)) + line),
    );
  }

  /** The document for machines. */
  document(value: unknown): void {
    if (!this.json) return;
    this.#erase();
    this.terminal.out.write(`${printableJson(value, 2)}\n`);
  }

  /** Something that the reader should know beside the result; on standard error, with --json as well. */
  warn(text: string): void {
    const { err } = this.terminal;
    this.#write(err, wrap(text, roomOf(err)));
  }

  /** What the command waits for, until it has something else to say: `asking 192.0.2.10`. */
  waiting(what: string): void {
    this.#printed = { text: what, step: what, at: Date.now() };
    this.#show([what]);
  }

  /**
   * How far it is.
   * @param parts the first says what is done; those behind it are left out where there is no room
   */
  progress(parts: readonly string[]): void {
    if (this.json) return;
    this.#show(parts);
    const isNew = parts[0] !== this.#printed.step;
    if (!this.#redraws && (isNew || Date.now() - this.#printed.at >= LINE_MS)) this.#print();
  }

  /** Takes the line of progress away until there is another, as before a question. */
  clear(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#parts = [];
    this.#erase();
  }

  get #redraws(): boolean {
    return this.terminal.err.isTTY === true;
  }

  #show(parts: readonly string[]): void {
    if (this.json) return;
    this.#parts = parts;
    if (this.#redraws) this.#draw();
    this.#timer ??= setInterval(
      () => {
        if (this.#redraws) this.#draw();
        else this.#breakSilence();
      },
      this.#redraws ? FRAME_MS : LINE_MS,
    ).unref();
  }

  #draw(): void {
    const { err } = this.terminal;
    // A line that wraps could not be taken back.
    const room = (roomOf(err) ?? USUAL_COLUMNS) - 1;
    const frame = FRAMES[this.#frame % FRAMES.length] ?? "";
    this.#frame += 1;
    this.#erase();
    err.write(fitting(`${frame} ${this.#parts[0] ?? ""}`, this.#parts.slice(1), room));
    this.#drawn = true;
  }

  #print(): void {
    const [step = "", ...more] = this.#parts;
    const text = shown([step, ...more].filter(Boolean).join("   "));
    this.#printed = { text, step, at: Date.now() };
    this.terminal.err.write(`  ${text}\n`);
  }

  /** Nothing has been heard for a while; that is shown, too. */
  #breakSilence(): void {
    if (Date.now() - this.#printed.at < SILENCE_MS) return;
    this.#printed = { ...this.#printed, at: Date.now() };
    this.terminal.err.write(`  still ${this.#printed.text}\n`);
  }

  #write(to: Output, lines: readonly string[]): void {
    this.#erase();
    for (const line of lines) to.write(`${shown(line)}\n`);
    if (this.#timer !== undefined && this.#redraws) this.#draw();
  }

  #erase(): void {
    if (!this.#drawn) return;
    this.terminal.err.write("\r\u001b[2K");
    this.#drawn = false;
  }
}

/** The columns of a terminal; undefined where it is none, so that nothing has to fit. */
function roomOf({ isTTY, columns }: Output): number | undefined {
  // Some terminals say 0.
  return isTTY === true ? columns || USUAL_COLUMNS : undefined;
}

/** As many parts as there is room for, in their order. */
function fitting(first: string, more: readonly string[], room: number): string {
  let text = cut(shown(first), room);
  for (const part of more.filter(Boolean)) {
    const longer = `${text}   ${shown(part)}`;
    if (width(longer) <= room) text = longer;
  }
  return text;
}

function cut(text: string, room: number): string {
  let short = text;
  while (width(short) > room) short = short.slice(0, -1);
  return short;
}
