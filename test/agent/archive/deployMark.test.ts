import assert from "node:assert/strict";
import { it } from "node:test";
import { readDeploy } from "../../../agent/archive/deployMark.ts";

it("a deploy is a revision, and the age in whole minutes that a backup before it may have", () => {
  const revision = "3f1c9d2";
  assert.deepEqual(readDeploy(revision, undefined), { revision, maxAgeMs: 0 });
  assert.deepEqual(readDeploy(revision, "60"), { revision, maxAgeMs: 3_600_000 });
});

for (const [revision, age, message] of [
  ["a b", undefined, /--before-deploy "a b" is no revision/],
  ["", undefined, /--before-deploy "" is no revision/],
  ["v5", "1.5", /--max-age 1\.5 must be a whole number/],
  ["v5", "-1", /--max-age -1 must be a whole number/],
] as const) {
  it(`no deploy: ${JSON.stringify([revision, age])}`, () => {
    assert.throws(() => readDeploy(revision, age), { name: "Problem", message });
  });
}
