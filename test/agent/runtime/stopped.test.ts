import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { after, before, describe, it, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  agent,
  attachedAgent,
  failure,
  outcomeOf,
  startAgent,
  unavailable,
  World,
} from "../world.ts";
import { BIG, progressOf } from "./watch.ts";

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

describe("a run that is stopped", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start();
    await world.database("tiny", "CREATE TABLE t AS SELECT generate_series(1, 10) AS i");
    await world.database("big", ...BIG);
  });
  after(() => world?.stop());

  /** Whether the process handles SIGHUP, which Node leaves alone: bit 0 of the mask in proc(5). */
  const handlesSignals = (pid: number) =>
    /^SigCgt:\s*\w*[13579bdf]$/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));

  for (const command of ["backup", "restore", "verify"]) {
    it(`${command}, before it has begun: it ends with a sentence and its code, and nothing was stored or made`, async () => {
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

  it("of two databases, stopped in the second: the first is complete, and nothing of the second is stored", async () => {
    const env = { ...(await world.environment("tiny,big")) };
    const child = startAgent(env, "backup", "--json");
    const outcome = outcomeOf(child);
    let text = "";
    while (!/"event":"backup".*\n.*"step":"upload"/s.test(text)) {
      assert(child.stdout);
      const [chunk] = (await once(child.stdout, "data")) as [string];
      text += chunk;
    }
    child.kill("SIGTERM");
    const ended = await outcome;
    assert.equal(ended.code, 143, ended.stderr);
    assert.equal(
      failure(ended),
      'stopped by SIGTERM before it was complete: "tiny" is complete, "big" was not stored.',
    );
    const keys = await world.keys(env["S3_BUCKET"] ?? "");
    assert.deepEqual(
      keys.filter((key) => key.includes("big")),
      [],
    );
    assert.equal(keys.filter((key) => key.includes("tiny")).length, 3);
    assert.equal(await world.unfinishedUploads(env["S3_BUCKET"] ?? ""), 0);
  });

  it("an upload that a killed run has left is aborted by the next one once it is a day old, and shown until then", async () => {
    const env = await world.environment("tiny");
    const bucket = env["S3_BUCKET"] ?? "";
    await world.beginUpload(bucket, "shop/production/tiny_2026-01-01T00:00:00.pgdump");
    await world.beginUpload(bucket, "elsewhere/tiny_2026-01-01T00:00:00.pgdump");
    await world.backup(env);
    assert.equal(await world.unfinishedUploads(bucket), 2);
    const activity = await agent(env, "activity", "--json");
    const event = activity.events.find((each) => each.event === "activity");
    assert(event?.event === "activity", activity.stderr);
    assert.equal(event.uploads?.count, 1);
  });

  describe("since its operator is gone", () => {
    let env: Record<string, string>;
    let stored: string[];
    before(async () => {
      env = await world.environment("big");
      await world.backup(env);
      stored = await world.keys(env["S3_BUCKET"] ?? "");
    });

    const GONE =
      /^stopped because the command that started it was interrupted or lost its connection before it was complete; nothing was stored or changed/;

    for (const [command, step] of [
      ["backup", "upload"],
      ["restore", "download"],
      ["restore", "compare"],
      ["verify", "download"],
    ] as const) {
      it(`${command}, at its ${step}: it ends, says so, and leaves nothing`, async () => {
        const child = attachedAgent(env, command, "--json");
        const outcome = outcomeOf(child);
        await progressOf(child, step);
        child.stdin.end();
        const ended = await outcome;
        assert.equal(ended.code, 129, ended.stdout + ended.stderr);
        assert.match(failure(ended), GONE);
        assert.deepEqual(
          (await world.databases()).filter((name) => name.startsWith("big_")),
          [],
        );
        const bucket = env["S3_BUCKET"] ?? "";
        assert.deepEqual(
          (await world.keys(bucket)).filter((key) => !key.includes("/restores/")),
          stored,
        );
        assert.equal(await world.unfinishedUploads(bucket), 0);
      });
    }

    it("while it waits for the secret, and when it was never there: it ends at once", async () => {
      const child = attachedAgent(env, "verify", "--identity-stdin", "--json");
      child.stdin.end();
      const ended = await outcomeOf(child);
      assert.equal(ended.code, 129);
      assert.match(failure(ended), GONE);
    });

    it("stays for as long as the input is open", async () => {
      const child = attachedAgent(env, "verify", "--json");
      const ended = await outcomeOf(child);
      assert.equal(ended.code, 0, ended.stdout + ended.stderr);
    });
  });
});
