import type { IndexedArchive } from "../../../archive/indexedArchive.ts";
import type { TocEntry } from "../../../archive/toc/grammar.ts";
import { type Report, throttled } from "../../../runtime/reporter.ts";
import type { TableProgress } from "../pgRestoreOutput.ts";

/** How far several connections are together. */
export class PartsProgress {
  readonly #report: Report;
  readonly #started = performance.now();
  readonly #total: number;
  readonly #tables: number | undefined;
  /** Tables of which each run has loaded the rows. */
  readonly #done: number[] = [];
  readonly #onTable: (table: string) => void;
  readonly #onBytes: () => void;
  #bytes: number;

  /** @param tables that the manifest knows; an extension may have tables of its own in the dump */
  constructor(
    report: Report,
    { toc, blocks }: Pick<IndexedArchive, "toc" | "blocks">,
    data: readonly TocEntry[],
    tables: number | undefined,
  ) {
    this.#report = report;
    this.#tables = tables;
    this.#bytes = toc.bytes.length;
    this.#total = data.reduce((sum, { id }) => sum + (blocks.get(id)?.bytes ?? 0), this.#bytes);
    this.#onTable = throttled((table) => this.#reportTables(table));
    this.#onBytes = throttled(() => this.#reportBytes());
  }

  /** Bytes that were fetched of the archive. */
  get bytes(): number {
    return this.#bytes;
  }

  fetched(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes === this.#total) this.#reportBytes();
    else this.#onBytes();
  }

  /** For one run of pg_restore. */
  ofRun(): (progress: TableProgress) => void {
    const run = this.#done.push(0) - 1;
    return ({ done, table }) => {
      this.#done[run] = done;
      this.#onTable(table);
    };
  }

  /** Everything is there. */
  end(): void {
    this.#report.event({
      event: "progress",
      step: "restore",
      ...(this.#tables !== undefined && { done: this.#tables, total: this.#tables }),
      elapsedMs: this.#elapsed(),
    });
  }

  #reportTables(table: string): void {
    const done = this.#done.reduce((sum, count) => sum + count, 0);
    const tables = this.#tables;
    this.#report.event({
      event: "progress",
      step: "restore",
      ...(tables === undefined ? { done } : { done: Math.min(done, tables), total: tables }),
      table,
      elapsedMs: this.#elapsed(),
    });
  }

  #reportBytes(): void {
    this.#report.event({
      event: "progress",
      step: "download",
      bytes: this.#bytes,
      total: this.#total,
      elapsedMs: this.#elapsed(),
    });
  }

  #elapsed(): number {
    return Math.round(performance.now() - this.#started);
  }
}
