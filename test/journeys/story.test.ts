import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../sandbox/world/run.ts";

test("npm start tells the whole story with exit 0", async () => {
  const story = await run(process.execPath, ["sandbox/story.ts"], {
    allowFailure: true,
    timeoutMs: 15 * 60_000,
  });
  assert.equal(story.code, 0, `${story.stdout}\n${story.stderr}`);
  assert.match(story.stdout, /every step true/);
});
