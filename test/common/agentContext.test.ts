import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { bundleAgent } from "../../common/agentContext.ts";

let folder: string;
let kept: string;
let fresh: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "bundle-"));
  kept = join(folder, "cache/kept");
  fresh = await digest();
});
after(() => rmSync(folder, { recursive: true }));

async function digest(): Promise<string> {
  return (await bundleAgent(join(folder, "out"), kept)).digest;
}

/** Changes what was kept of the last bundle: a line of JSON, and the program. */
function tamper(change: (head: { inputs: string[]; digest: string }) => object, program = "") {
  const text = readFileSync(kept, "utf8");
  const end = text.indexOf("\n");
  const head = JSON.stringify(change(JSON.parse(text.slice(0, end))));
  writeFileSync(kept, `${head}\n${program}${text.slice(end + 1)}`);
}

test("the same sources give the same program, which is not bundled a second time", async () => {
  assert.equal(await digest(), fresh);
  tamper((head) => head, "// taken from here\n");
  assert.notEqual(await digest(), fresh);
});

test("once a source has changed, or is gone, it is bundled anew", async () => {
  for (const change of [{ digest: "0".repeat(64) }, { inputs: ["agent/gone.ts"] }]) {
    tamper((head) => ({ ...head, ...change }), "// stale\n");
    assert.equal(await digest(), fresh);
  }
});

test("every source of the agent counts, and so do the packages", () => {
  const { inputs } = JSON.parse(readFileSync(kept, "utf8").split("\n", 1)[0] ?? "");
  for (const path of ["agent/main.ts", "common/problem.ts", "package-lock.json"]) {
    assert.ok(inputs.includes(path), path);
  }
});

test("the program is ASCII alone: of one other letter Node holds each of its letters in two bytes", () => {
  const program = readFileSync(join(folder, "out/agent.cjs"), "latin1");
  assert.doesNotMatch(program, /[^\t\n\r -~]/);
});
