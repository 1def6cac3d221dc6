import type { Report } from "../runtime/reporter.ts";

/**
 * What a restore does not bring back, gathered from wherever it is found out: before the question where it can be known
 * then, later where only the loading or the comparison shows it. The whole list stands beside "Restored" and in the event.
 */
export class NotRestored {
  readonly #items: string[] = [];
  #reported = 0;
  #asked = 0;

  /** @param item what is missing and why, as the rest of a sentence that begins with "Not restored:", without a full stop */
  add(item: string): void {
    if (!this.#items.includes(item)) this.#items.push(item);
  }

  /** In the order in which they were added, each once. */
  get items(): readonly string[] {
    return [...this.#items];
  }

  /** Says what is new since the last call. */
  reportNew(report: Report): void {
    for (const item of this.#items.slice(this.#reported)) report.warn(`Not restored: ${item}.`);
    this.#reported = this.#items.length;
  }

  /** For a question: what was added since the question before it. */
  takeUnasked(): readonly string[] {
    const items = this.#items.slice(this.#asked);
    this.#asked = this.#items.length;
    return items;
  }

  /** Says everything once more: the summary at the end. */
  reportAll(report: Report): void {
    if (this.#items.length === 0) return;
    report.line(
      this.#items.length === 1 ? "Not restored:" : `Not restored, ${this.#items.length} things:`,
    );
    for (const item of this.#items) report.line(`  ${item}`);
  }
}
