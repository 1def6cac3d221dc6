import { StatementErrors } from "./statementErrors.ts";

/** How far a restore is. */
export interface TableProgress {
  /** Tables whose rows are in. */
  readonly done: number;
  /** The table whose rows were begun last, `schema.name`. */
  readonly table: string;
}

/**
 * The command for a shell, its words in `"$@"`: its messages come on standard output, where a restore into a database
 * prints nothing else.
 */
export const VERBOSE_RESTORE = '{ pg_restore --verbose "$@" 2>&1; }';

/** The phrases below are looked for, so they must not be translated. */
export const UNTRANSLATED = { LC_ALL: "C", LANGUAGE: "" };

const BEGUN = /processing data for table "(.*)/;
const FINISHED = /finished item \d+ TABLE DATA /;
/** `pg_restore --jobs` alone launches. */
const LAUNCHED = /launching item \d+ /;
/**
 * Standard error is not buffered, and the name, a blank, the level and the text are written one by one (pg_logging_init and
 * pg_log_generic_v in PostgreSQL 17's logging.c). So a line of one worker may stand between the pieces of another's:
 * `pg_restore:pg_restore: launching ...`, and then a blank and the other's text, without a name.
 */
const OWN =
  /^(?:pg_restore:| *(?:error: |processing data for table "|(?:finished|launching) item \d))/;
const ERROR = /^(?:pg_restore:| )*error: /;
const WARNING = /^(?:pg_restore:| )+warning: /;
const MORE = /^(?:pg_restore:| )+(?:detail|hint): /;
/** The statement that failed follows, over any number of lines. */
const STATEMENT = /^Command was: /;

const LINE_KEPT = 2048;
/** An error has a detail, a hint and where it was; of other things the last ones are enough. */
const [ERROR_LINES_KEPT, LINES_KEPT] = [12, 4];

/** Reads the messages of `pg_restore --verbose`: how far it is, and among all that why it failed. */
export class RestoreOutput {
  readonly #onTable: (progress: TableProgress) => void;
  #pending = "";
  #begun = 0;
  #finished = 0;
  #parallel = false;
  #table = "";
  /** Whether a line without a name in front goes on with something worth keeping. Before the first it is the shell's. */
  #keeping = true;
  /** The first error is the cause; what it did to others, such as a worker that died, is not. */
  #failed = false;
  #kept: string[] = [];
  /** All errors, where pg_restore goes on after one. */
  readonly errors = new StatementErrors();

  /** @param onTable called when the rows of a table are begun or finished */
  constructor(onTable: (progress: TableProgress) => void) {
    this.#onTable = onTable;
  }

  /** @param text the next piece of the output */
  read(text: string): void {
    const lines = (this.#pending + text).split("\n");
    this.#pending = (lines.pop() ?? "").slice(0, LINE_KEPT);
    for (const line of lines) this.#line(line);
  }

  /**
   * At the end: why it failed, in a few lines. The first error and what belongs to it; without an error the last warnings.
   */
  failure(): string {
    this.#line(this.#pending);
    this.#pending = "";
    return this.#kept.join("\n");
  }

  #line(line: string): void {
    this.errors.read(line);
    if (OWN.test(line)) this.#ownLine(line);
    else if (STATEMENT.test(line)) this.#keeping = false;
    if (!this.#keeping || line === "") return;
    const most = this.#failed ? ERROR_LINES_KEPT : LINES_KEPT;
    if (this.#kept.length < most) this.#kept.push(line.slice(0, LINE_KEPT));
    else if (!this.#failed) this.#kept = [...this.#kept.slice(1), line.slice(0, LINE_KEPT)];
  }

  #ownLine(line: string): void {
    if (ERROR.test(line) && !this.#failed) {
      this.#failed = true;
      this.#keeping = true;
      this.#kept = [];
    } else if (!MORE.test(line)) {
      this.#keeping = WARNING.test(line) && !this.#failed;
      this.#count(line);
    }
  }

  #count(line: string): void {
    if (LAUNCHED.test(line)) this.#parallel = true;
    const table = BEGUN.exec(line)?.[1];
    if (table !== undefined) {
      this.#begun += 1;
      this.#table = table.replace(/"$/, "").replace(/\p{Cc}/gu, " ");
    } else if (FINISHED.test(line)) {
      this.#finished += 1;
    } else if (this.#parallel || this.#begun === this.#finished) {
      return;
    }
    // One connection does one thing after the other: whatever comes next, the rows of the table before it are in.
    if (!this.#parallel) this.#finished = table === undefined ? this.#begun : this.#begun - 1;
    this.#onTable({ done: this.#finished, table: this.#table });
  }
}
