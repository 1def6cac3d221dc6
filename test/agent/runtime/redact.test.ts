import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { redactor } from "../../../agent/runtime/redact.ts";

describe("redactor", () => {
  it("takes out every form of a secret, the longer one first", () => {
    const clean = redactor(["pass/word", "pass", undefined, "ab"]);
    assert.equal(clean("pass/word pass%2Fword pass ab"), "[secret] [secret] [secret] ab");
  });
});
