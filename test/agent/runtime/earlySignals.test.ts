import assert from "node:assert/strict";
import { test } from "node:test";
import "../../../agent/runtime/earlySignals.ts";
import { stopOnSignal } from "../../../agent/runtime/signals.ts";

test("a signal that comes while the program is still loading stops the run all the same", () => {
  process.emit("SIGHUP", "SIGHUP");
  const stop = stopOnSignal();
  assert.deepEqual([stop.signal.aborted, stop.exitCode], [true, 129]);
  assert.equal(stop.signal.reason.message, "stopped by SIGHUP");
});
