import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import {
  findProgram,
  logTail,
  processesWith,
  stopProcesses,
} from "../../sandbox/host/processes.ts";

test("processes are found by their command line, and somebody else's is left alone", async (t) => {
  const child = spawn("sleep", ["61.25"], { stdio: "ignore" });
  t.after(() => child.kill());
  assert.deepEqual(await processesWith("sleep 61.25"), [child.pid]);
  assert.deepEqual(await processesWith("sleep 61.26"), []);
  assert.equal(await stopProcesses("sleep 61.26"), 0);
  assert.equal(child.exitCode ?? child.signalCode, null);
});

test("our processes are ended, and killed when they do not end by themselves", async () => {
  const stubborn = spawn("sh", ["-c", 'trap "" TERM; echo; while :; do sleep 0.1; done # 61.5']);
  const children = [spawn("sleep", ["61.5"]), stubborn];
  const ended = children.map(
    (child) => new Promise((resolve) => child.on("exit", (_, signal) => resolve(signal))),
  );
  await once(stubborn.stdout, "data"); // its trap is set
  assert.equal(await stopProcesses("61.5"), 2);
  assert.deepEqual(await Promise.all(ended), ["SIGTERM", "SIGKILL"]);
  assert.deepEqual(await processesWith("61.5"), []);
});

test("a missing program is a Problem that names it", async () => {
  await assert.rejects(findProgram("no-such-program"), {
    name: "Problem",
    message: /'no-such-program' is not on PATH/,
  });
  assert.equal(logTail("/nowhere/log"), "(no log)");
});
