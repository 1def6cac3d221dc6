import type { WrittenEvent } from "../../common/contracts/agentEvents.ts";
import { printable, printableJson } from "../../common/printable.ts";

/** One line of `--json` output. Its form is the contract's, so that a change on one side does not compile on the other. */
export type AgentEvent = WrittenEvent;

/** Where a command reports what it does. */
export interface Report {
  /** For machines: printed with `--json` only. */
  event(event: AgentEvent): void;
  /** For people: printed without `--json` only. */
  line(text: string): void;
  /** Something the reader should know though the run goes on: standard error, with `--json` too. */
  warn(text: string): void;
  /**
   * The failure that ends the command: an event with `--json`, else standard error.
   * @param stack where it came from, for `--debug`; standard error in both forms
   */
  error(message: string, stack?: string): void;
}

/**
 * A report on this process's standard output.
 * @param json one JSON object a line instead of text
 * @param redact takes the secrets out of a text
 * @param output where it goes instead
 */
export function openReport(
  json: boolean,
  redact: (text: string) => string,
  output: NodeJS.WritableStream = process.stdout,
): Report {
  // A line of somebody else's text is indented, so that it never passes for one of ours.
  const shown = (text: string) => printable(redact(text)).replaceAll("\n", "\n  ");
  const out = (text: string) => output.write(`${shown(text)}\n`);
  const err = (text: string) => process.stderr.write(`${shown(text)}\n`);
  const event = (event: AgentEvent) => {
    if (json) output.write(`${redact(printableJson(event))}\n`);
  };
  return {
    event,
    line: (text) => {
      if (!json) out(text);
    },
    warn: (text) => {
      err(text);
    },
    error: (message, stack) => {
      // Redacted before it is escaped as JSON.
      event({ event: "error", message: redact(message) });
      if (!json) err(`error: ${message}`);
      if (stack !== undefined) err(stack);
    },
  };
}

const PROGRESS_EVERY_MS = 1000;

/** Lets a callback through at most once a second, so that progress does not flood a log. */
export function throttled<A extends unknown[]>(
  callback: (...args: A) => void,
): (...args: A) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (...args) => {
    const now = performance.now();
    if (now - last < PROGRESS_EVERY_MS) return;
    last = now;
    callback(...args);
  };
}
