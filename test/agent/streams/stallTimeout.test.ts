import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StallTimeout } from "../../../agent/streams/stallTimeout.ts";

describe("StallTimeout", () => {
  it("aborts with a sentence when nothing has moved for the limit", async () => {
    const watch = new StallTimeout("upload of x", 40);
    const keepAlive = setTimeout(() => {}, 5_000);
    await new Promise((resolve) => watch.signal.addEventListener("abort", resolve));
    clearTimeout(keepAlive);
    assert.equal(watch.signal.reason.name, "Problem");
    assert.match(watch.signal.reason.message, /^upload of x: no byte moved/);
  });
});
