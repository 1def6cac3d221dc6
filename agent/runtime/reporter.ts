import type { WrittenEvent } from "../../common/contracts/agentEvents.ts";

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
}

/**
 * A report on this process's standard output.
 * @param json one JSON object a line instead of text
 * @param redact takes the secrets out of a text
 */
export function openReport(json: boolean, redact: (text: string) => string): Report {
  const out = (text: string) => process.stdout.write(`${redact(text)}\n`);
  return {
    event: (event) => {
      if (json) out(JSON.stringify(event));
    },
    line: (text) => {
      if (!json) out(text);
    },
    warn: (text) => {
      process.stderr.write(`${redact(text)}\n`);
    },
  };
}

/** Lets a callback through at most once per interval, so that progress does not flood a log. */
export function throttled<A extends unknown[]>(
  intervalMs: number,
  callback: (...args: A) => void,
): (...args: A) => void {
  let last = Number.NEGATIVE_INFINITY;
  return (...args) => {
    const now = performance.now();
    if (now - last < intervalMs) return;
    last = now;
    callback(...args);
  };
}

/** `2.8 GB`, decimal units, for people. */
export function readableBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const text = unit === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1);
  return `${text} ${units[unit]}`;
}
