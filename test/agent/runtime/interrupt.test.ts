import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { attachedAgent, failure, outcomeOf, unavailable, World } from "../world.ts";
import { BIG, progressOf } from "./watch.ts";

describe("a run whose operator is gone", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  let env: Record<string, string>;
  let stored: string[];
  before(async () => {
    world = await World.start();
    await world.database("big", ...BIG);
    env = await world.environment("big");
    await world.backup(env);
    stored = await world.keys(env["S3_BUCKET"] ?? "");
  });
  after(() => world?.stop());

  const GONE =
    /^stopped because the command that started it was interrupted or lost its connection before it was complete; nothing was stored or changed/;

  for (const [command, step] of [
    ["backup", "upload"],
    ["restore", "download"],
    ["restore", "compare"],
    ["verify", "download"],
  ] as const) {
    it(`${command}, at its ${step}: it ends, says so, and leaves nothing`, async () => {
      const child = attachedAgent(env, command, "--json");
      const outcome = outcomeOf(child);
      await progressOf(child, step);
      child.stdin.end();
      const ended = await outcome;
      assert.equal(ended.code, 129, ended.stdout + ended.stderr);
      assert.match(failure(ended), GONE);
      assert.deepEqual(
        (await world.databases()).filter((name) => name.startsWith("big_")),
        [],
      );
      const bucket = env["S3_BUCKET"] ?? "";
      assert.deepEqual(
        (await world.keys(bucket)).filter((key) => !key.includes("/restores/")),
        stored,
      );
      assert.equal(await world.unfinishedUploads(bucket), 0);
    });
  }

  it("while it waits for the secret, and when it was never there: it ends at once", async () => {
    const child = attachedAgent(env, "verify", "--identity-stdin", "--json");
    child.stdin.end();
    const ended = await outcomeOf(child);
    assert.equal(ended.code, 129);
    assert.match(failure(ended), GONE);
  });

  it("stays for as long as the input is open", async () => {
    const child = attachedAgent(env, "verify", "--json");
    const ended = await outcomeOf(child);
    assert.equal(ended.code, 0, ended.stdout + ended.stderr);
  });
});
