import type { ProgressEvent } from "../../common/contracts/agentEvents.ts";
import { formatBytes } from "../../common/format.ts";
import { formatCount, formatDuration, formatRate, plural } from "./format.ts";
import { renderBar } from "./render.ts";

const WORDS: Readonly<Record<string, string>> = {
  download: "reading",
  restore: "restoring",
  compare: "comparing",
};

/** One line of progress. */
export function describeProgress(event: ProgressEvent): string {
  const { step, elapsedMs } = event;
  const what =
    step === "restore" && event.done !== undefined
      ? [restoredTables(event)]
      : [WORDS[step] ?? step, ...amount(event)];
  return [...what, formatDuration(elapsedMs)].filter(Boolean).join("   ");
}

/**
 * The lines of a restore. One that is streamed reads and fills tables at the same time, and both stand in one line, which
 * would jump otherwise.
 * @returns to be called with each event
 */
export function restoreLine(): (event: ProgressEvent) => string {
  let read: ProgressEvent | undefined;
  let filled: ProgressEvent | undefined;
  return (event) => {
    if (event.step === "download") read = event;
    if (event.step === "restore") filled = event.table === undefined ? undefined : event;
    if (event.step === "compare" || read === undefined || filled === undefined) {
      return describeProgress(event);
    }
    const { bytes = 0, total = 0 } = read;
    if (bytes >= total) return describeProgress({ ...filled, elapsedMs: event.elapsedMs });
    return [restoredTables(filled), describeProgress(read)].join("   ");
  };
}

function restoredTables({ done = 0, total, table }: ProgressEvent): string {
  const name = table === undefined ? "" : ` (${table})`;
  return `restored ${tables(done, total)}${name}`;
}

function tables(done: number, total: number | undefined): string {
  return total === undefined
    ? plural(done, "table")
    : `${formatCount(done)} of ${plural(total, "table")}`;
}

function amount({ bytes, total, done, elapsedMs }: ProgressEvent): string[] {
  if (done !== undefined) return [tables(done, total)];
  if (bytes === undefined) return [];
  const bar = total === undefined ? "" : renderBar(bytes, total);
  return [formatBytes(bytes), bar, formatRate(bytes, elapsedMs)];
}
