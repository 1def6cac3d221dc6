import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { health, refused, stateFolder } from "../runtime/watch.ts";
import { agent, failure, unavailable, World } from "../world.ts";
import { twoBuckets } from "./twoBuckets.ts";

describe("a copy whose variables are wrong", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start();
    await world.database("shop", "CREATE TABLE orders AS SELECT generate_series(1, 120) AS id");
  });
  after(() => world?.stop());

  const ROWS: [what: string, wrong: Record<string, string>, sentence: RegExp][] = [
    [
      "a variable lacks",
      { COPY_S3_SECRET_ACCESS_KEY: "" },
      /COPY_S3_SECRET_ACCESS_KEY is required/,
    ],
    ["an address is none", { COPY_S3_ENDPOINT: "s3.x" }, /COPY_S3_ENDPOINT "s3\.x" has no scheme/],
  ];
  for (const [what, wrong, sentence] of ROWS) {
    it(`${what}: the backup is complete, and the run has failed with the sentence`, async (t) => {
      const { env, first, copy } = await twoBuckets(world, "shop");
      const AGENT_STATE_DIR = stateFolder(t);
      const METRICS_FILE = join(AGENT_STATE_DIR, "shop.prom");
      const told = { ...env, ...wrong, AGENT_STATE_DIR, METRICS_FILE };
      const outcome = await agent(told, "backup", "--json");
      refused(
        world,
        outcome,
        /^the backup of "shop" is stored in s3:\/\/agent-\d+\/shop\/production at http\S+, but its copy failed: COPY_/,
      );
      assert.match(failure(outcome), sentence);
      assert.equal((await world.keys(first)).length, 3);
      assert.deepEqual(await world.keys(copy), []);
      const metrics = readFileSync(METRICS_FILE, "utf8");
      assert.match(metrics, /last_success_timestamp_seconds\{database="shop"\} \d/);
      assert.match(metrics, /last_run_success\{database="shop"\} 0/);
      const said = health(AGENT_STATE_DIR);
      assert.equal(said.status, 1);
      assert.match(said.stdout, /^broken: the last backup failed .* but its copy failed: COPY_/);
    });
  }

  it("the first bucket as its own copy: the backup is complete", async () => {
    const { env, first } = await twoBuckets(world, "shop");
    const outcome = await agent({ ...env, COPY_S3_BUCKET: first }, "backup", "--json");
    refused(world, outcome, /is stored in s3:.* but its copy failed: COPY_S3_BUCKET is the bucket/);
    assert.equal((await world.keys(first)).length, 3);
  });

  it("and the first bucket fails too: both are named", async () => {
    const { env } = await twoBuckets(world, "shop");
    const wrong = { ...env, S3_ENDPOINT: "http://127.0.0.1:9", COPY_TIERS: "yes" };
    refused(
      world,
      await agent(wrong, "backup", "--json"),
      /^the backup of "shop" failed in both buckets\. s3:.*:9 refuses connections.* The copy: COPY_TIERS must be/,
    );
  });

  it("the scheduler starts, and log and health check tell it before the first run", async (t) => {
    const { env } = await twoBuckets(world, "shop");
    const AGENT_STATE_DIR = stateFolder(t);
    const held = { ...env, COPY_EVERY: "sometimes", SCHEDULE: "@daily", AGENT_STATE_DIR };
    const next = await agent(held, "next");
    assert.equal(next.code, 0, next.stderr);
    assert.match(next.stdout, /^\d+ \d+ \d+\n$/);
    const missed = await agent(held, "missed");
    assert.deepEqual([missed.code, missed.stdout], [0, "\n"]);
    assert.match(missed.stderr, /^no copy can be made: COPY_/);
    const said = health(AGENT_STATE_DIR);
    assert.equal(said.status, 1);
    assert.match(said.stdout, /^broken: no copy can be made: COPY_EVERY "some/);
  });

  it("what is in the first bucket is read all the same; --copy and probe refuse", async () => {
    const { env } = await twoBuckets(world, "shop");
    assert.equal((await agent(env, "backup", "--json")).code, 0);
    const wrong = { ...env, COPY_S3_ALLOW_INSECURE: "maybe" };
    for (const args of [["list"], ["verify"], ["restore", "--into", "shop_saved", "--dry-run"]]) {
      const outcome = await agent(wrong, ...args, "--json");
      assert.equal(outcome.code, 0, failure(outcome));
    }
    const sentence = /^COPY_S3_ALLOW_INSECURE must be true or false\. Set it in/;
    refused(world, await agent(wrong, "list", "--copy", "--json"), sentence);
    refused(world, await agent(wrong, "probe", "--json"), sentence);
  });
});
