import assert from "node:assert/strict";
import { after, before, describe, it, type TestContext } from "node:test";
import { type Fate, type Refusal, startRelay } from "../../support/servers/relay.ts";
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
import { twoBuckets } from "./twoBuckets.ts";

const isPart = (method: string, path: string) => method === "PUT" && path.includes("partNumber=");

describe("a storage service that fails", { skip: unavailable, timeout: 900_000 }, () => {
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

  it("with one of two manifests of an older backup: the next one is made, and says so", async (t) => {
    let failing = false;
    const { env, bucket } = await behind(t, "tiny", (method, path) =>
      failing && method === "GET" && /suspect\/tiny_[^?]*\.manifest\.json/.test(path)
        ? { status: 503, code: "SlowDown" }
        : "pass",
    );
    const first = await world.backup(env);
    const stamp = first.takenAt.replace("Z", "");
    await world.write(bucket, `shop/production/suspect/tiny_${stamp}.manifest.json`, "x");
    failing = true;
    const next = await agent({ ...env, BACKUP_KEEP_DAYS: "1" }, "backup", "--json");
    assert.equal(next.code, 0, failure(next));
    assert.match(next.stderr, new RegExp(`the backup of ${stamp} does not count .*overloaded`));
    assert.match(next.stderr, new RegExp(`the backup of ${stamp} stays for now, .*overloaded`));
  });

  const NO_LIST: readonly [what: string, refusal: Refusal, sentence: RegExp | null][] = [
    ["may not list", { status: 403, code: "AccessDenied" }, null],
    ["has expired", { status: 403, code: "ExpiredToken" }, /the access key has expired/],
  ];
  for (const [what, refusal, sentence] of NO_LIST) {
    it(`403 on the list for a key that ${what}: ${sentence ? "its own sentence" : "a notice, and the backup"}`, async (t) => {
      const { env } = await behind(t, "tiny", (method, path) =>
        method === "GET" && path.includes("list-type=2") ? refusal : "pass",
      );
      const outcome = await agent(env, "backup", "--json");
      assert.equal(outcome.code, sentence === null ? 0 : 1, failure(outcome));
      const notice = /the key may not list the bucket/;
      if (sentence === null) assert.match(outcome.stderr, notice);
      else {
        assert.match(failure(outcome), sentence);
        assert.doesNotMatch(outcome.stdout + outcome.stderr, notice);
      }
    });
  }

  const REFUSALS: Record<string, [Fate, RegExp]> = {
    "always 503 SlowDown": [{ status: 503, code: "SlowDown" }, /is overloaded or limits the rate/],
    "a full bucket": [{ status: 507, code: "QuotaExceeded" }, /bucket agent-\d+ at .* is full/],
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

  it("every answer to the manifest lost: it is looked for, and the backup counts", async (t) => {
    const { env, relay, bucket } = await behind(t, "tiny", (method, path) =>
      method === "PUT" && path.includes("manifest.json") ? "lose-answer" : "pass",
    );
    await world.backup(env);
    assert(relay.count("lose-answer") > 1);
    assert.equal((await world.keys(bucket)).length, 3);
  });

  it("and nobody can look: neither a success nor a backup that does not count", async (t) => {
    const { env, bucket } = await behind(t, "tiny", (method, path) => {
      if (!path.includes("manifest.json")) return "pass";
      return method === "PUT" ? "lose-answer" : { status: 503, code: "SlowDown" };
    });
    const outcome = await agent(env, "backup", "--json");
    refused(
      world,
      outcome,
      /nobody knows whether its manifest .* was, too \(.*broke.*could not be seen: .*overloaded.*If list shows this backup without a remark, it counts/,
    );
    assert.doesNotMatch(failure(outcome), /does not count/);
    assert.equal((await world.keys(bucket)).length, 3);
  });

  for (const body of ["", "<html>ok</html>"]) {
    it(`a manifest acknowledged with ${JSON.stringify(body)} and not stored: no backup, and it says so`, async (t) => {
      const { env, bucket } = await behind(t, "tiny", (method, path) =>
        method === "PUT" && !isPart(method, path) ? { acknowledge: body } : "pass",
      );
      const outcome = await agent(env, "backup", "--json");
      refused(
        world,
        outcome,
        /its manifest .* could not be written \(the service acknowledged .*manifest\.json, but does not hold it.*this backup does not count/,
      );
      assert(!outcome.events.some(({ event }) => event === "backup"));
      assert(!(await world.keys(bucket)).some((key) => key.endsWith("manifest.json")));
    });
  }

  it("a copy whose manifest was acknowledged and not stored: the copy has failed, not the backup", async (t) => {
    const relay = await startRelay(world.store.endpoint, (method, path) =>
      method === "PUT" && !isPart(method, path) ? { acknowledge: "" } : "pass",
    );
    t.after(() => relay.stop());
    const { env, first } = await twoBuckets(world, "tiny");
    const outcome = await agent({ ...env, COPY_S3_ENDPOINT: relay.endpoint }, "backup", "--json");
    refused(world, outcome, /is stored in .*but its copy .*acknowledged .*but does not hold it/);
    assert.equal((await world.keys(first)).length, 3);
  });

  it("a mark of verification that was acknowledged and not stored: said, and the result holds", async (t) => {
    const { env, bucket } = await behind(t, "tiny", (method, path) =>
      method === "PUT" && path.includes("verified.json") ? { acknowledge: "" } : "pass",
    );
    await world.backup(env);
    const verified = await agent(env, "verify", "--json");
    assert.equal(verified.code, 0, failure(verified));
    assert.match(verified.stderr, /could not be noted in the bucket: the service acknowledged/);
    assert.equal((await world.keys(bucket)).length, 3);
  });

  it("completion acknowledged and not done: a sentence with the key, and nothing left", async (t) => {
    const { env, bucket } = await behind(t, "tiny", (method, path) =>
      method === "POST" && path.includes("uploadId=")
        ? {
            acknowledge:
              "<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>",
          }
        : "pass",
    );
    refused(
      world,
      await agent(env, "backup", "--json"),
      /the service acknowledged shop\/.*but does not hold the/,
    );
    await noTrace(bucket);
  });

  it("an answer that never comes: tried again after a minute", async () => {
    const { outcome, stalls } = await stalled;
    assert.equal(outcome.code, 0, failure(outcome));
    assert.equal(stalls, 1);
  });
});
