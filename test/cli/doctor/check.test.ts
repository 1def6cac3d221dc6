import assert from "node:assert/strict";
import { test } from "node:test";
import { type Check, examine, fail, ok, warn } from "../../../cli/doctor/check.ts";
import { Problem } from "../../../common/problem.ts";

test("what depends on a failed check is not looked at, and names the first cause", async () => {
  const looked: string[] = [];
  const check = (name: string, needs: string[], finding = ok("good")): Check => ({
    name,
    needs,
    look: () => {
      looked.push(name);
      return finding;
    },
  });
  const seen: string[] = [];
  const examined = await examine(
    [
      check("node", []),
      check("ssh", ["node"], fail("refused", "Mend it.")),
      check("docker", ["ssh"]),
      check("container", ["node", "docker"]),
      check("clock", ["node"], warn("late", "Set it.")),
      check("bucket", ["clock"]),
    ],
    ({ name }) => seen.push(name),
  );
  assert.deepEqual(looked, ["node", "ssh", "clock", "bucket"]);
  assert.deepEqual(
    examined.map(({ name, state, text }) => [name, state, text]),
    [
      ["node", "ok", "good"],
      ["ssh", "fail", "refused"],
      ["docker", "skipped", "not checked: needs ssh"],
      ["container", "skipped", "not checked: needs ssh"],
      ["clock", "warn", "late"],
      ["bucket", "ok", "good"],
    ],
  );
  assert.deepEqual(
    seen,
    examined.map(({ name }) => name),
  );
});

test("a Problem is the check's failure with its own sentence; a defect is none", async () => {
  const throwing = (error: Error): Check => ({ name: "stack", look: () => Promise.reject(error) });
  assert.deepEqual(await examine([throwing(new Problem("No stack. Make one."))]), [
    { name: "stack", state: "fail", text: "No stack. Make one." },
  ]);
  await assert.rejects(examine([throwing(new TypeError("x is undefined"))]), TypeError);
});
