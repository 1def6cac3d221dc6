import assert from "node:assert/strict";
import { after, before, describe, it, type TestContext } from "node:test";
import { type Fate, startRelay } from "../../support/servers/relay.ts";
import { BIG, progressOf, refused } from "../runtime/watch.ts";
import {
  agent,
  failure,
  type Outcome,
  outcomeOf,
  startAgent,
  unavailable,
  World,
} from "../world.ts";

const isPart = (method: string, path: string) => method === "PUT" && path.includes("partNumber=");

describe("a storage service that fails", { skip: unavailable, timeout: 400_000 }, () => {
  let world: World;
  /** Started first and looked at last: it takes the minute after which silence counts as a broken connection. */
  let stalled: Promise<{ readonly outcome: Outcome; readonly stalls: number }>;
  before(async () => {
    world = await World.start();
    await world.database("big", ...BIG);
    await world.database("tiny", "CREATE TABLE t AS SELECT 1 AS i");
    await world.database("patient", "CREATE TABLE t AS SELECT 1 AS i");
    stalled = stall();
    stalled.catch(() => {});
  });
  after(() => world?.stop());

  const stall = async () => {
    let left = 1;
    const fateOf = (method: string, path: string): Fate => {
      if (!isPart(method, path) || left === 0) return "pass";
      left -= 1;
      return "stall";
    };
    const relay = await startRelay(world.store.endpoint, fateOf);
    const env = { ...(await world.environment("patient")), S3_ENDPOINT: relay.endpoint };
    const outcome = await agent(env, "backup", "--json");
    const stalls = relay.count("stall");
    await relay.stop();
    return { outcome, stalls };
  };

  /** The container's environment with a bad line to the service. */
  const behind = async (
    t: TestContext,
    database: string,
    fateOf: (method: string, path: string) => Fate,
  ) => {
    const relay = await startRelay(world.store.endpoint, fateOf);
    t.after(() => relay.stop());
    const env: Record<string, string> = {
      ...(await world.environment(database)),
      S3_ENDPOINT: relay.endpoint,
    };
    return { env, relay, bucket: env["S3_BUCKET"] ?? "" };
  };
  const noTrace = async (bucket: string) => {
    assert.deepEqual(await world.keys(bucket), []);
    assert.equal(await world.unfinishedUploads(bucket), 0);
  };

  it("now and then (500, 503, a reset, a lost answer): tried again, and the backup is whole", async (t) => {
    const troubles: Fate[] = [
      { status: 500, code: "InternalError" },
      { status: 503, code: "SlowDown" },
      "lose-answer",
      { status: 503, code: "ServiceUnavailable" },
      "cut",
    ];
    let parts = 0;
    const { env, relay, bucket } = await behind(t, "big", (method, path) => {
      if (!isPart(method, path)) return "pass";
      parts += 1;
      return (parts % 2 === 0 ? troubles.shift() : undefined) ?? "pass";
    });
    const manifest = await world.backup(env);
    assert.equal(relay.count("refused"), 3);
    assert.equal(troubles.length, 0);
    const stored = await world.read(bucket, manifest.object.key);
    assert.equal(stored.length, manifest.object.bytes);
    const restored = await agent(env, "restore", "latest", "--into", "big_again", "--json");
    assert.equal(restored.code, 0, failure(restored));
  });

  const REFUSALS: Record<string, [Fate, RegExp]> = {
    "always 503 SlowDown": [{ status: 503, code: "SlowDown" }, /is overloaded or limits the rate/],
    "always 500": [{ status: 500, code: "InternalError" }, /failed with 500 InternalError/],
    "a full bucket": [{ status: 507, code: "QuotaExceeded" }, /bucket agent-\d+ at .* is full/],
    "a full bucket as others say it": [
      { status: 403, code: "QuotaExceeded" },
      /bucket agent-\d+ at .* is full, or its quota/,
    ],
    "a wrong clock": [
      { status: 403, code: "RequestTimeTooSkewed" },
      /the clock of this machine \(.*\) differs too much.*Set the clock/,
    ],
    "a key that has expired": [
      { status: 400, code: "ExpiredToken" },
      /the access key has expired\. Give S3_ACCESS_KEY_ID/,
    ],
  };
  for (const [what, [fate, sentence]] of Object.entries(REFUSALS)) {
    it(`${what}: explained, and nothing is left behind`, async (t) => {
      const { env, bucket } = await behind(t, "tiny", (method, path) =>
        isPart(method, path) ? fate : "pass",
      );
      refused(world, await agent(env, "backup", "--json"), sentence);
      await noTrace(bucket);
    });
  }

  it("a key that is taken away midway: no backup, and the error says that parts are left", async () => {
    const env = await world.environment("big");
    const bucket = env["S3_BUCKET"] ?? "";
    const keys = await world.keyThatMayPut(`arn:aws:s3:::${bucket}/*`);
    const child = startAgent({ ...env, ...keys }, "backup", "--json");
    const outcome = outcomeOf(child);
    await progressOf(child, "upload");
    await world.revoke(keys["S3_ACCESS_KEY_ID"] ?? "");
    refused(
      world,
      await outcome,
      /does not know the access key id.*Its parts stay until the bucket's rule for unfinished/,
    );
    assert.deepEqual(await world.keys(bucket), []);
  });

  it("an answer to the manifest that was lost: written all the same, and the backup counts", async (t) => {
    let left = 1;
    const { env, bucket } = await behind(t, "tiny", (method, path) => {
      if (method !== "PUT" || !path.includes("manifest.json") || left === 0) return "pass";
      left -= 1;
      return "lose-answer";
    });
    await world.backup(env);
    assert.equal(left, 0);
    assert.equal((await world.keys(bucket)).length, 3);
  });

  it("an answer that never comes: tried again after a minute", async () => {
    const { outcome, stalls } = await stalled;
    assert.equal(outcome.code, 0, failure(outcome));
    assert.equal(stalls, 1);
  });
});
