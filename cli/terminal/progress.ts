import type { ProgressEvent } from "../../common/contracts/agentEvents.ts";
import { formatBytes } from "../../common/format.ts";
import { formatCount, formatDuration, formatLeft, formatRate, plural } from "./format.ts";
import { renderBar } from "./render.ts";

const WORDS: Readonly<Record<string, string>> = {
  upload: "uploading",
  download: "reading",
  restore: "restoring",
  compare: "comparing",
  mask: "masking",
  check: "checking",
  base: "fetching the base backup",
  wal: "fetching WAL",
};

/** What a step counts, where it is no tables. */
const COUNTED: Readonly<Record<string, string>> = {
  check: "check",
  mask: "statement",
  wal: "segment",
};

/**
 * One step, in the parts that `Screen.progress` takes.
 * @param expected of the bytes, where the event does not know their total: those of the last one of its kind
 */
export function describeProgress(event: ProgressEvent, expected?: number): string[] {
  const { step, elapsedMs } = event;
  const word = WORDS[step] ?? step;
  if (step === "restore" && event.done !== undefined) {
    const { done, total, table } = event;
    return [
      word,
      `${counted(done, total, "table")} filled`,
      formatDuration(elapsedMs),
      table === undefined ? "" : `(${table})`,
    ];
  }
  if (event.done !== undefined) {
    const what = COUNTED[step] ?? "table";
    return [word, counted(event.done, event.total, what), formatDuration(elapsedMs)];
  }
  return event.bytes === undefined
    ? [word, formatDuration(elapsedMs)]
    : [word, ...amount(event, event.bytes, expected)];
}

/**
 * The lines of a restore. One that is streamed reads and fills tables at the same time, and both stand in one line, which
 * would jump otherwise.
 * @returns to be called with each event
 */
export function restoreLine(): (event: ProgressEvent) => string[] {
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
    const [, done = "", , table = ""] = describeProgress(filled);
    return [...describeProgress(read), done, table];
  };
}

function counted(done: number, total: number | undefined, what: string): string {
  return total === undefined
    ? plural(done, what)
    : `${formatCount(done)} of ${plural(total, what)}`;
}

/** Share, rate and time left, then a bar. Of an expectation they are only about right, and past it they say nothing. */
function amount(
  { total, elapsedMs }: ProgressEvent,
  bytes: number,
  expected: number | undefined,
): string[] {
  const rate = formatRate(bytes, elapsedMs);
  const elapsed = formatDuration(elapsedMs);
  const whole = total ?? expected;
  if (whole === undefined || whole === 0 || (total === undefined && bytes >= whole)) {
    return [formatBytes(bytes), rate, elapsed];
  }
  const about = total === undefined ? "about " : "";
  const share = `${about}${Math.floor((bytes / whole) * 100)} %`;
  const left = formatLeft(bytes, whole, elapsedMs);
  return [
    total === undefined ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(whole)}`,
    share,
    rate,
    left === "" ? elapsed : `${about}${left} left`,
    renderBar(bytes, whole),
  ];
}
