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
    assert.match(watch.signal.reason.message, /^upload of x: no byte moved for 40 ms, so/);
  });

  for (const [limitMs, words] of [
    [20_000, "20 seconds"],
    [60_000, "60 seconds"],
    [15 * 60_000, "15 minutes"],
  ] as const) {
    it(`a limit of ${limitMs} ms reads ${words}`, (t) => {
      t.mock.timers.enable({ apis: ["setInterval"] });
      const start = 1_000;
      t.mock.method(performance, "now", () => start);
      const watch = new StallTimeout("upload of x", limitMs);
      t.mock.method(performance, "now", () => start + limitMs);
      t.mock.timers.tick(5_000);
      assert.match(watch.signal.reason.message, new RegExp(`no byte moved for ${words}, so`));
    });
  }
});
