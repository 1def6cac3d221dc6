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
const words = (line: string) => line.replace(/[█░▏▎▍▌▋▊▉#.-]{3,}/u, "BAR").split(/ {3}/);

test("each step is one line", () => {
  assert.deepEqual(words(describeProgress(orders)), [
    "restored 12 of 40 tables (public.orders)",
    "10 s",
  ]);
  assert.deepEqual(words(describeProgress(event("restore", { done: 1, table: "a.b" }))), [
    "restored 1 table (a.b)",
    "10 s",
  ]);
  assert.deepEqual(words(describeProgress(event("compare", { done: 3, total: 40 }))), [
    "comparing",
    "3 of 40 tables",
    "10 s",
  ]);
  assert.deepEqual(words(describeProgress(event("restore", {}))), ["restoring", "10 s"]);
});

test("a streamed restore reads and fills tables in one line", () => {
  const line = restoreLine();
  assert.match(line(read(100_000_000)), /^reading {3}100 MB/);
  const both = /^restored 12 of 40 tables \(public\.orders\) {3}reading {3}100 MB .*10 s$/;
  assert.match(line(orders), both);
  assert.match(line(read(100_000_000)), both);
  assert.equal(line(read(400_000_000)), "restored 12 of 40 tables (public.orders)   10 s");
  assert.equal(line(event("restore", { done: 40, total: 40 })), "restored 40 of 40 tables   10 s");
  assert.match(line(event("compare", { done: 3, total: 40 })), /^comparing {3}3 of 40 tables/);
});
