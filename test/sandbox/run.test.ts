import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, run } from "../../sandbox/world/run.ts";

test("run collects output, input and exit code", async () => {
  const result = await run("sh", ["-c", "cat; echo oops >&2; exit 3"], {
    input: "given",
    allowFailure: true,
  });
  assert.deepEqual(result, { code: 3, stdout: "given", stderr: "oops\n" });
});

test("run sets and removes variables", async () => {
  const env = { SANDBOX_GIVEN: "yes", HOME: undefined };
  const { stdout } = await run("sh", ["-c", "echo $SANDBOX_GIVEN ${HOME-none}"], { env });
  assert.equal(stdout, "yes none\n");
});

test("a failure names the command, the code and the last lines, and is a Problem", async () => {
  await assert.rejects(run("sh", ["-c", "echo no space >&2; exit 7"]), {
    name: "Problem",
    message: /^'sh -c .*' failed with exit code 7: no space$/,
  });
});

test("a program that is missing or too slow is a Problem", async () => {
  await assert.rejects(run("no-such-program", []), { name: "Problem", message: /scripts\/setup/ });
  await assert.rejects(run("sleep", ["5"], { timeoutMs: 50 }), {
    name: "Problem",
    message: /did not end within 0.05 s/,
  });
});

test("a program that does not read its input is no crash", async () => {
  const { code } = await run("true", [], { input: "x".repeat(1_000_000) });
  assert.equal(code, 0);
});

test("eventually waits for an answer, and tells the last error when there is none", async () => {
  let asked = 0;
  const answer = await eventually("It", 1_000, async () => (++asked === 3 ? "yes" : undefined), 1);
  assert.equal(answer, "yes");
  const never = eventually("It", 20, () => Promise.reject(new Error("refused")), 1);
  await assert.rejects(never, { name: "Problem", message: /^It did not answer .* refused$/ });
});
