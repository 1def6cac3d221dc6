import assert from "node:assert/strict";
import { after, before, describe, it, test } from "node:test";
import { hasBackupSince, missedRun } from "../../../agent/scheduler/missedRun.ts";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import {
  parseSigningKeys,
  type SigningKey,
  signManifest,
} from "../../../common/contracts/manifestMac.ts";
import { dumpKey, manifestKey } from "../../../storage/catalogue/objectKeys.ts";
import { settingsWith } from "../../components/application.ts";
import { backupManifest } from "../../support/manifest.ts";
import { MemoryStore } from "../../support/memoryStore.ts";
import { agent, DUMP_SUFFIX, unavailable, World } from "../world.ts";

const HOUR_MS = 3_600_000;

test("a backup ahead of time stands for no run: the latest true one decides, and alone it is none", async () => {
  const settings = { ...settingsWith(undefined), databases: ["shop"], schedule: "0 * * * *" };
  const now = new Date();
  const stampIn = (ms: number) => new Date(now.getTime() + ms).toISOString().slice(0, 19);
  const store = new MemoryStore();
  const put = (stamp: string) => {
    store.set(dumpKey("backup", "shop", stamp, { compression: "pg_dump-zstd", encryption: "age" }));
    store.set(manifestKey("backup", "shop", stamp));
  };
  put(stampIn(400 * 24 * HOUR_MS));
  assert.equal(await missedRun(store, settings, now, "UTC"), undefined, "no backup at all");
  assert.equal(await hasBackupSince(store, settings, "shop", now), false);
  const old = stampIn(-2 * HOUR_MS);
  put(old);
  const missed = await missedRun(store, settings, now, "UTC");
  assert.deepEqual([missed?.database, missed?.latestStamp], ["shop", old]);
  assert.equal(await hasBackupSince(store, settings, "shop", now), false);
  put(stampIn(0));
  assert.equal(await missedRun(store, settings, now, "UTC"), undefined);
});

test("where nothing of what was stored since signing began is signed, a run is due at once, and one signed backup is enough", async () => {
  const signingKeys = [Buffer.alloc(32, 1).toString("base64url")];
  const settings = {
    ...{ ...settingsWith(undefined), databases: ["app"], schedule: "0 * * * *" },
    ...{ signingKeys, signingSince: "2026-01-01T00:00:00Z" },
  };
  const now = new Date();
  const store = new MemoryStore();
  const put = (stamp: string, keys: readonly SigningKey[]) => {
    const encrypted = { compression: "zstd", encryption: "age" } as const;
    const key = dumpKey("backup", "app", stamp, encrypted);
    const object = { key, bytes: 1, sha256: stamp.replace(/\D/g, "").padStart(64, "0") };
    const unsigned = backupManifest({ ...encrypted, takenAt: `${stamp}Z`, object });
    const manifest = signManifest(unsigned, keys);
    store.set(key);
    store.set(manifestKey("backup", "app", stamp), JSON.stringify(manifest));
  };
  const stampIn = (ms: number) => new Date(now.getTime() + ms).toISOString().slice(0, 19);
  // By the container before this one, which had no key.
  put(stampIn(-2000), []);
  const missed = await missedRun(store, settings, now, "UTC");
  assert.deepEqual([missed?.database, missed?.latestStamp], ["app", null]);
  put(stampIn(0), parseSigningKeys(signingKeys.join(), "key"));
  assert.equal(await missedRun(store, settings, now, "UTC"), undefined);
});

describe("a run that was missed", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start();
    await world.database("shop", "CREATE TABLE orders AS SELECT generate_series(1, 10) AS id");
  });
  after(() => world.stop());

  /** A bucket whose newest backup, one of the old image's, was made so many hours ago; none without. */
  async function environment(hours?: number): Promise<Record<string, string>> {
    const env = { ...(await world.environment("shop")), SCHEDULE: "@every 6h" };
    if (hours !== undefined) await put(env, hours);
    return env;
  }

  async function put(env: Record<string, string>, hours: number, database = "shop") {
    const stamp = new Date(Date.now() - hours * HOUR_MS).toISOString().slice(0, 19);
    await world.write(env["S3_BUCKET"] ?? "", `shop/production/${database}_${stamp}.dump`, "PGDMP");
  }

  const dumps = async (env: Record<string, string>) =>
    (await world.keys(env["S3_BUCKET"] ?? "")).filter((key) => DUMP_SUFFIX.test(key));

  it("is made up for in two minutes, and the log says why", async () => {
    const outcome = await agent(await environment(7), "missed");
    assert.equal(outcome.code, 0);
    const wait = Number(outcome.stdout) - Date.now() / 1000;
    assert(wait > 100 && wait <= 120, outcome.stdout);
    assert.match(outcome.stderr, /^a backup of "shop" was due .*Z, but the latest is from .*Z/);
  });

  const none: readonly [what: string, hours: number | undefined][] = [
    ["when the newest backup is newer", 5],
    ["when there is no backup at all", undefined],
  ];
  for (const [what, hours] of none) {
    it(`is none ${what}`, async () => {
      const outcome = await agent(await environment(hours), "missed");
      assert.deepEqual([outcome.code, outcome.stdout, outcome.stderr], [0, "\n", ""]);
    });
  }

  it("one of several databases is enough, and names that only begin alike do not count", async () => {
    const env = { ...(await environment(1)), POSTGRES_DATABASE: "shop,queue" };
    await put(env, 1, "queue_old");
    assert.equal((await agent(env, "missed")).stdout, "\n");
    await put(env, 30, "queue");
    assert.match((await agent(env, "missed")).stderr, /a backup of "queue" was due/);
  });

  it("is made by the scheduler's command, and not a second time", async () => {
    const env = await environment(7);
    const first = await agent(env, "backup", "--scheduled", "--catch-up");
    assert.equal(first.code, 0, first.stderr);
    assert.equal((await dumps(env)).length, 1);
    const second = await agent(env, "backup", "--scheduled", "--catch-up");
    assert.equal(second.code, 0, second.stderr);
    assert.match(second.stdout, /has been made meanwhile/);
    assert.equal((await dumps(env)).length, 1);
  });

  it("is no matter of a first backup, which is made and read back where there is none at all, and once", async () => {
    const env = await environment(undefined);
    const first = await agent(env, "backup", "--first", "--verify", "--json");
    assert.equal(first.code, 0, first.stderr);
    const events = first.stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
    const { manifest } = events.find(({ event }) => event === "backup") as { manifest: Manifest };
    assert.equal(manifest.database, "shop");
    assert.ok(events.some(({ event }) => event === "verified"));
    const stored = await dumps(env);
    // A server that was made anew is restored from what is there, however old, and whoever has written it.
    for (const [one, expected] of [
      [env, stored],
      [await environment(500), []],
    ] as const) {
      const second = await agent(one, "backup", "--first", "--verify");
      assert.equal(second.code, 0, second.stderr);
      assert.match(second.stdout, /Each database has a backup already\./);
      assert.deepEqual(await dumps(one), expected);
    }
  });

  it("is named as such where none of those in the bucket counts", async () => {
    const env = await environment(1);
    const signing = {
      SIGNING_KEYS: Buffer.alloc(32, 1).toString("base64url"),
      SIGNING_SINCE: "2026-01-01T00:00:00Z",
    };
    const outcome = await agent({ ...env, ...signing }, "missed");
    assert.match(outcome.stderr, /but none of those in the bucket counts, since their origin/);
  });

  it("that cannot be seen for now is looked at again, and is no failed backup", async () => {
    const env = { ...(await environment(7)), S3_ENDPOINT: "http://127.0.0.1:1" };
    const seen = await agent(env, "missed");
    assert.equal(seen.code, 0);
    assert.match(seen.stderr, /is not known yet and is checked again in two minutes/);
    assert(Number(seen.stdout) > Date.now() / 1000);
    const again = await agent(env, "backup", "--scheduled", "--catch-up");
    assert.equal(again.code, 0);
    assert.match(again.stderr, /whether a run was missed is not known/);
  });

  it("is never known to a key that may not list", async () => {
    const env = await environment(7);
    const key = await world.keyThatMayPut(`arn:aws:s3:::${env["S3_BUCKET"]}/shop/*`);
    const outcome = await agent({ ...env, ...key }, "missed");
    assert.equal(outcome.code, 1);
    assert.equal(outcome.stdout, "");
    assert.match(outcome.stderr, /^error: .*list/);
  });
});
