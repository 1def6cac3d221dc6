import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import type { Score } from "./files.ts";

const TOP = `
  import { after, before, test } from "node:test";
  const state = globalThis;
  before(() => { state.mine = "NAME"; });
  after(() => { if (state.mine !== "NAME") throw new Error("of " + state.mine); });
  test("its own hook ran last", () => { if (state.mine !== "NAME") throw new Error("of " + state.mine); });
`;

test("files in one process: hooks of their own, a score for each, and one that cannot be run is a failure", async (t) => {
  mkdirSync("build", { recursive: true });
  const folder = mkdtempSync("build/together-");
  t.after(() => rmSync(folder, { recursive: true }));
  const file = (name: string, text: string) => {
    const path = join(folder, `${name}.test.ts`);
    writeFileSync(path, text);
    return path;
  };
  const good = file("good", TOP.replaceAll("NAME", "good"));
  const files = [
    good,
    file("broken-hook", `${TOP}\nbefore(() => { throw new Error("no"); });`),
    file("fails", `${TOP}\ntest("fails", () => { throw new Error("no"); });`),
    join(folder, "gone.test.ts"),
    file("last", TOP.replaceAll("NAME", "last")),
  ];

  const child = fork(resolve("test/runner/files.ts"), ["--together", ...files], {
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  const scores: Score[] = [];
  child.on("message", (score) => scores.push(score as Score));
  const [code] = await once(child, "close");
  assert.equal(code, 1);
  assert.deepEqual(
    scores.map(({ file, passed, failed }) => [file, passed, failed > 0]),
    [
      [files[0], 1, false],
      [files[1], 0, true],
      [files[2], 1, true],
      [files[3], 0, true],
      [files[4], 1, false],
    ],
  );
});
