import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { findProgram, livingProcess, logTail, stopProcess } from "../../sandbox/processes.ts";

function pidFileFor(t: TestContext, pid: number | undefined): string {
  const dir = mkdtempSync(join(tmpdir(), "processes-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const file = join(dir, "pid");
  writeFileSync(file, `${pid}\n`);
  return file;
}

test("a process is ours only if it lives and its command line says so", async (t) => {
  const child = spawn("sleep", ["61.25"], { stdio: "ignore" });
  t.after(() => child.kill());
  const file = pidFileFor(t, child.pid);
  assert.equal(await livingProcess(file, "61.25"), child.pid);
  assert.equal(await livingProcess(file, "another program"), undefined);
  await stopProcess(file, "another program");
  assert.equal(child.exitCode ?? child.signalCode, null, "somebody else's process is left alone");
});

test("our process is ended and its pid file removed", async (t) => {
  const child = spawn("sleep", ["61.5"], { stdio: "ignore" });
  const ended = new Promise((resolve) => child.on("exit", (_, signal) => resolve(signal)));
  const file = pidFileFor(t, child.pid);
  await stopProcess(file, "61.5");
  assert.equal(await ended, "SIGTERM");
  assert.equal(existsSync(file), false);
});

test("a pid file without a number names nobody", async (t) => {
  assert.equal(await livingProcess(pidFileFor(t, undefined), ""), undefined);
  assert.equal(await livingProcess("/nowhere/pid", ""), undefined);
});

test("a missing program is a Problem that names it", async () => {
  await assert.rejects(findProgram("no-such-program"), {
    name: "Problem",
    message: /'no-such-program' is not on PATH/,
  });
  assert.equal(logTail("/nowhere/log"), "(no log)");
});
