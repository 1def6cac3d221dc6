import type { Report } from "../runtime/reporter.ts";
import { LAST_LINES } from "./chatMessage.ts";

/** Remembers the last lines of a run's log, for the message about its failure. */
export class LastLines {
  readonly #redact: (text: string) => string;
  #lines: string[] = [];

  /** @param redact takes the secrets out of a text */
  constructor(redact: (text: string) => string) {
    this.#redact = redact;
  }

  /** Free of secrets, the newest last. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** The same report, whose lines and warnings are remembered. */
  watch(report: Report): Report {
    return {
      event: (event) => report.event(event),
      line: (text) => {
        this.#note(text);
        report.line(text);
      },
      warn: (text) => {
        this.#note(text);
        report.warn(text);
      },
      error: (message, stack) => report.error(message, stack),
    };
  }

  #note(text: string): void {
    this.#lines = [...this.#lines, ...this.#redact(text).split("\n")].slice(-LAST_LINES);
  }
}
