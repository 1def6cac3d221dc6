import { stripVTControlCharacters } from "node:util";

/** `pg_log_warning` of PostgreSQL 17's src/common/logging.c; in capitals what the server itself sends, as libpq prints it. */
const WARNING = /^(?:pg_dump(?:all)?: warning: |WARNING: {1,2})(.*)/;
/** What belongs to the message before. */
const MORE = /^(?:pg_dump(?:all)?: (?:detail|hint): |(?:DETAIL|HINT): {1,2})(.*)/;

const LINE_KEPT = 500;
const KEPT = 100;

/** The phrases above must not be translated. */
export const UNTRANSLATED = { LC_ALL: "C", LANGUAGE: "" };

/** The warnings of pg_dump and pg_dumpall, each once: what they leave out they say there, with exit code 0. */
export class ToolWarnings {
  readonly #found = new Set<string>();
  /** Messages that may go on. */
  readonly #open: string[][] = [];

  /** @returns a function that takes one program's standard error, piece by piece */
  reader(): (text: string) => void {
    const message: string[] = [];
    this.#open.push(message);
    let pending = "";
    return (text) => {
      const lines = (pending + text).split("\n");
      pending = (lines.pop() ?? "").slice(0, LINE_KEPT);
      for (const line of lines) this.#line(line, message);
    };
  }

  /** In the order in which they came. */
  get all(): string[] {
    for (const message of this.#open) this.#close(message);
    return [...this.#found];
  }

  #line(line: string, message: string[]): void {
    const more = MORE.exec(line)?.[1];
    if (more !== undefined && message.length > 0) {
      message.push(more.slice(0, LINE_KEPT));
      return;
    }
    this.#close(message);
    const warning = WARNING.exec(line)?.[1];
    if (warning !== undefined) message.push(warning.slice(0, LINE_KEPT));
  }

  #close(message: string[]): void {
    const text = asSentences(message);
    message.length = 0;
    if (text !== "" && this.#found.size < KEPT) this.#found.add(text);
  }
}

/** A message with its details and hints in one line. */
function asSentences(parts: readonly string[]): string {
  const clean = parts.map((part) =>
    stripVTControlCharacters(part)
      .replace(/\p{Cc}/gu, " ")
      .trim(),
  );
  return clean
    .map((part, at) => (at < clean.length - 1 && !/[.!?:]$/.test(part) ? `${part}.` : part))
    .join(" ");
}
