import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import type { Score } from "./files.ts";

const STRAYS = `
  import { describe, test } from "node:test";
  import { readFile } from "node:fs/promises";
  const turn = () => new Promise((done) => setImmediate(done));
  const stray = () => new Promise((done) => setTimeout(done, 5_000).unref());
  test("good", turn);
  test("throws in a timer", async () => {
    await readFile(import.meta.filename);
    setTimeout(() => { throw new Error("stray"); });
    await stray();
  });
  test("forgets a promise", async () => {
    await turn();
    (async () => { await turn(); throw new Error("stray"); })();
    await stray();
  });
  describe("suite", async () => {
    await turn();
    test("of a suite that waits", async (t) => {
      await turn();
      await t.test("its part", turn);
      await t.test("its bad part", async () => { await turn(); throw new Error("bad"); });
    });
  });
`;

test("what a test throws outside of its own promise is that test's failure, and a suite that waits keeps its tests", async (t) => {
  mkdirSync("build", { recursive: true });
  const folder = mkdtempSync("build/strays-");
  t.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "strays.test.ts");
  writeFileSync(file, STRAYS);
  const child = fork(resolve("test/runner/files.ts"), [file], {
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  const scores: Score[] = [];
  child.on("message", (score) => scores.push(score as Score));
  await once(child, "close");
  const [score] = scores;
  assert.deepEqual(
    score?.failures.map((text) => text.replace(/ \(.*\)\n */, ": ")),
    [
      "throws in a timer: stray",
      "forgets a promise: stray",
      "its bad part: bad",
      "of a suite that waits: 1 subtest failed",
    ],
  );
  assert.equal(score?.passed, 2);
});
