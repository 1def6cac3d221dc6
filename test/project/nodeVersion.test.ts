import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { nodeProblem } from "../../common/nodeVersion.mjs";
import { importsOf } from "../support/importGraph.ts";

test("a Node below the oldest that package.json names gets one sentence, and no other does", () => {
  const { engines } = JSON.parse(readFileSync("package.json", "utf8"));
  const oldest: string = engines.node.replace(">=", "");
  assert.match(oldest, /^22\.\d+$/);
  const [, minor = 0] = oldest.split(".").map(Number);
  for (const version of [
    `${oldest}.0`,
    `22.${minor + 1}.3`,
    "24.0.0",
    "100.1.0",
    process.versions.node,
  ]) {
    assert.equal(nodeProblem(version), undefined, version);
  }
  for (const version of ["20.20.2", "18.0.0", "9.99.0", `22.${minor - 1}.9`, "22.9.0"]) {
    assert.match(
      nodeProblem(version) ?? "",
      new RegExp(
        `^kamal-postgres-backup needs Node ${oldest} or newer, and this is Node ${version}\\. `,
      ),
    );
  }
});

test("an older Node reads what it needs to say so: no TypeScript before the version was looked at", () => {
  const text = readFileSync("cli/start.mjs", "utf8");
  assert.deepEqual(
    [...text.matchAll(/^import .*"(.+)";$/gm)].map(([, from]) => from),
    ["../common/nodeVersion.mjs"],
  );
  assert.doesNotMatch(readFileSync("common/nodeVersion.mjs", "utf8"), /^import /m);
  for (const entry of ["components/index.ts", "components/scaleway.ts"]) {
    assert.equal(importsOf(entry)[0], "components/pulumi/supportedNode.ts", "evaluated first");
  }
});
