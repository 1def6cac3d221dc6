import assert from "node:assert/strict";
import { test } from "node:test";
import { describeProgress, restoreLine } from "../../../cli/terminal/progress.ts";
import type { ProgressEvent } from "../../../common/contracts/agentEvents.ts";

const event = (step: string, more: Partial<ProgressEvent>): ProgressEvent => ({
  event: "progress",
  step,
  elapsedMs: 10_000,
  ...more,
});
const read = (bytes: number) => event("download", { bytes, total: 400_000_000 });
const orders = event("restore", { done: 12, total: 40, table: "public.orders" });
const BAR = /^\[[#-]{20}\]$/;
const words = (parts: readonly string[]) =>
  parts.filter(Boolean).map((part) => (BAR.test(part) ? "BAR" : part));

test("each step is one line, the most important part first", () => {
  const rows: [ProgressEvent, number | undefined, string[]][] = [
    [orders, undefined, ["restoring", "12 of 40 tables filled", "10 s", "(public.orders)"]],
    [
      event("restore", { done: 1, table: "a.b" }),
      undefined,
      ["restoring", "1 table filled", "10 s", "(a.b)"],
    ],
    [event("compare", { done: 3, total: 40 }), undefined, ["comparing", "3 of 40 tables", "10 s"]],
    [event("check", { done: 3, total: 4 }), undefined, ["checking", "3 of 4 checks", "10 s"]],
    [event("check", { done: 1, total: 1 }), undefined, ["checking", "1 of 1 check", "10 s"]],
    [event("restore", {}), undefined, ["restoring", "10 s"]],
    [
      read(100_000_000),
      undefined,
      ["reading", "100 MB of 400 MB", "25 %", "10 MB/s", "30 s left", "BAR"],
    ],
    [
      { ...read(1_000_000), elapsedMs: 500 },
      undefined,
      ["reading", "1.0 MB of 400 MB", "0 %", "2.0 MB/s", "0.5 s", "BAR"],
    ],
    [
      read(400_000_000),
      undefined,
      ["reading", "400 MB of 400 MB", "100 %", "40 MB/s", "0 s left", "BAR"],
    ],
    [
      event("upload", { bytes: 100_000_000 }),
      undefined,
      ["uploading", "100 MB", "10 MB/s", "10 s"],
    ],
    [
      event("upload", { bytes: 100_000_000 }),
      250_000_000,
      ["uploading", "100 MB", "about 40 %", "10 MB/s", "about 15 s left", "BAR"],
    ],
    [
      event("upload", { bytes: 300_000_000 }),
      250_000_000,
      ["uploading", "300 MB", "30 MB/s", "10 s"],
    ],
    [event("upload", { bytes: 0 }), 0, ["uploading", "0 bytes", "0 bytes/s", "10 s"]],
    [event("from the future", {}), undefined, ["from the future", "10 s"]],
  ];
  for (const [each, expected, parts] of rows) {
    assert.deepEqual(words(describeProgress(each, expected)), parts, JSON.stringify(each));
  }
});

test("a streamed restore reads and fills tables in one line", () => {
  const line = restoreLine();
  const reading = ["reading", "100 MB of 400 MB", "25 %", "10 MB/s", "30 s left", "BAR"];
  assert.deepEqual(words(line(read(100_000_000))), reading);
  const both = [...reading, "12 of 40 tables filled", "(public.orders)"];
  assert.deepEqual(words(line(orders)), both);
  assert.deepEqual(words(line(read(100_000_000))), both);
  assert.deepEqual(words(line(read(400_000_000))), [
    ...["restoring", "12 of 40 tables filled", "10 s", "(public.orders)"],
  ]);
  assert.deepEqual(words(line(event("restore", { done: 40, total: 40 }))), [
    ...["restoring", "40 of 40 tables filled", "10 s"],
  ]);
  assert.deepEqual(words(line(event("compare", { done: 3, total: 40 }))), [
    ...["comparing", "3 of 40 tables", "10 s"],
  ]);
});
