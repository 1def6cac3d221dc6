import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { after, before, describe, it, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { failure, outcomeOf, startAgent, unavailable, World } from "../world.ts";

test("a signal that comes while the program is still loading stops the run all the same", () => {
  // In a process of its own, which a stopped run ends.
  const program = `
    await import("./agent/runtime/earlySignals.ts");
    process.emit("SIGHUP");
    const { stopOnSignal } = await import("./agent/runtime/signals.ts");
    const { signal, exitCode } = stopOnSignal();
    console.log(exitCode, signal.reason.message);`;
  const words = ["--input-type=module", "-e", program];
  const { stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
  assert.equal(stdout, "129 stopped by SIGHUP\n", stderr);
});

describe("a run that is stopped before it has begun", {
  skip: unavailable,
  timeout: 900_000,
}, () => {
  let world: World;
  before(async () => {
    world = await World.start();
    await world.database("tiny", "CREATE TABLE t AS SELECT 1 AS i");
  });
  after(() => world?.stop());

  /** Whether the process handles SIGHUP, which Node leaves alone: bit 0 of the mask in proc(5). */
  const handlesSignals = (pid: number) =>
    /^SigCgt:\s*\w*[13579bdf]$/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));

  for (const command of ["backup", "restore", "verify"]) {
    it(`${command}: it ends with a sentence and its code, and nothing was stored or made`, async () => {
      const env = await world.environment("tiny");
      if (command !== "backup") await world.backup(env);
      const stored = await world.keys(env["S3_BUCKET"] ?? "");
      const child = startAgent(env, command, "--json");
      const outcome = outcomeOf(child);
      await once(child, "spawn");
      while (!handlesSignals(child.pid ?? 0)) await sleep(1);
      child.kill("SIGTERM");
      const ended = await outcome;
      assert.equal(ended.code, 143, ended.stderr);
      assert.match(
        failure(ended),
        /^stopped by SIGTERM before it was complete; nothing was stored or changed\.$/,
      );
      // A restore leaves a record of the try.
      const keys = await world.keys(env["S3_BUCKET"] ?? "");
      assert.deepEqual(
        keys.filter((key) => !key.includes("/restores/")),
        stored,
      );
      assert.equal(await world.unfinishedUploads(env["S3_BUCKET"] ?? ""), 0);
      const names = await world.databases();
      assert.deepEqual(
        names.filter((name) => name.startsWith("tiny_")),
        [],
      );
    });
  }
});
