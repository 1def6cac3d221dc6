import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { redactor } from "../../../agent/runtime/redact.ts";
import { readableBytes } from "../../../agent/runtime/reporter.ts";

describe("redactor", () => {
  it("takes out every form of a secret, the longer one first", () => {
    const clean = redactor(["pass/word", "pass", undefined, "ab"]);
    assert.equal(clean("pass/word pass%2Fword pass ab"), "[secret] [secret] [secret] ab");
  });
});

describe("readableBytes", () => {
  it("has three figures at most", () => {
    assert.deepEqual([0, 999, 1000, 81_586_495, 412_000_000].map(readableBytes), [
      "0 B",
      "999 B",
      "1.0 kB",
      "81.6 MB",
      "412 MB",
    ]);
  });
});
