import assert from "node:assert/strict";
import { once } from "node:events";
import { after, before, describe, it } from "node:test";
import { agent, failure, outcomeOf, startAgent, unavailable, World } from "../world.ts";
import { BIG } from "./watch.ts";

describe("a stopped backup says what stands", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start();
    await world.database("small", "CREATE TABLE t AS SELECT generate_series(1, 10) AS i");
    await world.database("big", ...BIG);
  });
  after(() => world?.stop());

  it("of two databases, stopped in the second: the first is complete, and nothing of the second is stored", async () => {
    const env = { ...(await world.environment("small,big")) };
    const child = startAgent(env, "backup", "--json");
    const outcome = outcomeOf(child);
    let text = "";
    while (!/"event":"backup".*\n.*"step":"upload"/s.test(text)) {
      assert(child.stdout);
      const [chunk] = (await once(child.stdout, "data")) as [string];
      text += chunk;
    }
    child.kill("SIGTERM");
    const ended = await outcome;
    assert.equal(ended.code, 143, ended.stderr);
    assert.equal(
      failure(ended),
      'stopped by SIGTERM before it was complete: "small" is complete, "big" was not stored.',
    );
    const keys = await world.keys(env["S3_BUCKET"] ?? "");
    assert.deepEqual(
      keys.filter((key) => key.includes("big")),
      [],
    );
    assert.equal(keys.filter((key) => key.includes("small")).length, 3);
    assert.equal(await world.unfinishedUploads(env["S3_BUCKET"] ?? ""), 0);
  });

  it("an upload that a killed run has left is aborted by the next one once it is a day old, and shown until then", async () => {
    const env = await world.environment("small");
    const bucket = env["S3_BUCKET"] ?? "";
    await world.beginUpload(bucket, "shop/production/small_2026-01-01T00:00:00.pgdump");
    await world.beginUpload(bucket, "elsewhere/small_2026-01-01T00:00:00.pgdump");
    await world.backup(env);
    assert.equal(await world.unfinishedUploads(bucket), 2);
    const activity = await agent(env, "activity", "--json");
    const event = activity.events.find((each) => each.event === "activity");
    assert(event?.event === "activity", activity.stderr);
    assert.equal(event.uploads?.count, 1);
  });
});
