// The errors of `pg_restore --verbose`, as warn_or_exit_horribly and _printTocEntry of PostgreSQL 17's pg_backup_archiver.c
// and libpq's pqBuildErrorMessage3 write them.

const OWN = /^pg_restore: /;
const ENTRY = /^(?:pg_restore: )+from TOC entry (\d+);/;
const ERROR = /^(?:pg_restore: )+error: (.*)/;
const STATEMENT = /^Command was: (.*)/;
/** Only printed where it went on after an error. */
const IGNORED = /^(?:pg_restore: )+warning: errors ignored on restore: \d+/;

const LINES_KEPT = 12;
const STATEMENT_LINES_KEPT = 20;
const LINE_KEPT = 2048;
const ERRORS_KEPT = 10_000;

/** One error of pg_restore. */
export interface StatementError {
  /** Number of the archive's entry; null where it belongs to none. */
  readonly id: number | null;
  /** In a sentence without its full stop. */
  readonly message: string;
  /** The first lines of the statement; empty where pg_restore prints none, as for rows. */
  readonly statement: string;
  /** Whether these are all its lines. */
  readonly isWhole: boolean;
}

/** Gathers each error and the statement that it belongs to, while pg_restore goes on. */
export class StatementErrors {
  readonly #errors: { id: number | null; lines: string[]; statement: string[] }[] = [];
  #entry: number | null = null;
  #into: "error" | "statement" | "nothing" = "nothing";
  #wentOn = false;

  /** @param line of the output, whole */
  read(line: string): void {
    if (OWN.test(line)) {
      this.#ownLine(line);
      return;
    }
    const error = this.#errors.at(-1);
    if (error === undefined || this.#into === "nothing") return;
    const statement = STATEMENT.exec(line);
    if (statement !== null) this.#into = "statement";
    const text = (statement?.[1] ?? line).slice(0, LINE_KEPT);
    const [kept, most] =
      this.#into === "error" ? [error.lines, LINES_KEPT] : [error.statement, STATEMENT_LINES_KEPT];
    if (kept.length < most) kept.push(text);
  }

  /** Whether it ended by itself after errors that it went past. */
  get wentOn(): boolean {
    return this.#wentOn;
  }

  get all(): readonly StatementError[] {
    return this.#errors.map(({ id, lines, statement }) => ({
      id,
      message: asSentence(lines).replace(/^could not execute query: /, ""),
      statement: statement.join("\n").trim(),
      isWhole:
        statement.length > 0 &&
        statement.length < STATEMENT_LINES_KEPT &&
        statement.every((line) => line.length < LINE_KEPT),
    }));
  }

  #ownLine(line: string): void {
    this.#into = "nothing";
    const entry = ENTRY.exec(line)?.[1];
    if (entry !== undefined) this.#entry = Number(entry);
    if (IGNORED.test(line)) this.#wentOn = true;
    const error = ERROR.exec(line)?.[1];
    if (error === undefined || this.#errors.length >= ERRORS_KEPT) return;
    this.#errors.push({ id: this.#entry, lines: [error.slice(0, LINE_KEPT)], statement: [] });
    this.#into = "error";
  }
}

const NOT_FOR_READERS = /^(?:LINE \d+:|QUERY:|\s*\^\s*$|LOCATION:)/;
const PART = /^(?:pg_restore: )*(ERROR|DETAIL|HINT|CONTEXT|detail|hint):\s+/;
/** Where in a table's rows it was; what stands there may be anybody's data. */
const PLACE = /^COPY (.+?), line (\d+)/;

/**
 * The lines of an error as sentences: the error, its detail and its hint. The excerpt of the statement with its mark under it,
 * which shows nothing in one line, is left out.
 * @returns without the last full stop
 */
export function asSentence(lines: readonly string[]): string {
  const parts: string[] = [];
  let skipping = false;
  for (const [index, line] of lines.entries()) {
    const place = PLACE.exec(line);
    const part = PART.exec(line);
    if (place !== null || /^CONTEXT:/.test(line)) {
      const found = place ?? PLACE.exec(line.replace(PART, ""));
      if (found !== null) parts.push(`At line ${found[2]} of the rows of ${found[1]}`);
      skipping = true;
    } else if (NOT_FOR_READERS.test(line)) {
      skipping = true;
    } else if (part !== null || index === 0 || OWN.test(line)) {
      skipping = false;
      parts.push(line.replace(PART, "").replace(/^(?:pg_restore: )*error: /, ""));
    } else if (!skipping && line.trim() !== "") {
      parts.push(`${parts.pop() ?? ""} ${line.trim()}`);
    }
  }
  return parts.map((part) => part.replace(/ERROR:\s+/, "").replace(/\.$/, "")).join(". ");
}
