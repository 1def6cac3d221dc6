import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { Receiver } from "../../support/servers/receiver.ts";
import { type Fate, startRelay } from "../../support/servers/relay.ts";
import { startStore, type TestStore } from "../../support/servers/store.ts";
import { BIG, processOf, progressOf, refused } from "../runtime/watch.ts";
import {
  agent,
  DUMP_SUFFIX,
  failure,
  type Outcome,
  outcomeOf,
  startAgent,
  unavailable,
  World,
} from "../world.ts";

const ALL = ["s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:AbortMultipartUpload"];
const isPart = (method: string, path: string) => method === "PUT" && path.includes("partNumber=");
const refusal: Fate = { status: 500, code: "InternalError" };

describe("a copy in a second bucket", { skip: unavailable, timeout: 900_000 }, () => {
  /** The first service and its bucket; the copies go to another service with keys of its own. */
  let world: World;
  let elsewhere: World;
  before(async () => {
    world = await World.start();
    elsewhere = new World(world.postgres, await startStore());
    await world.database("shop", "CREATE TABLE orders AS SELECT generate_series(1, 120) AS id");
    await world.database("big", ...BIG);
  });
  after(async () => {
    elsewhere?.s3.destroy();
    await elsewhere?.store.stop();
    await world?.stop();
  });

  const copyVariables = (env: Record<string, string>) =>
    Object.fromEntries(
      Object.entries(env).flatMap(([name, value]) =>
        name.startsWith("S3_") ? [[`COPY_${name}`, value]] : [],
      ),
    );
  /** Both buckets, each behind a line of its own if one is given. */
  const both = async (database: string, lines: { first?: string; copy?: string } = {}) => {
    const env = await world.environment(database);
    const other = await elsewhere.environment(database);
    const bucket = other["S3_BUCKET"] ?? "";
    const keys = await elsewhere.keyThatMay(bucket, ...ALL, "s3:ListMultipartUploadParts");
    return {
      env: {
        ...env,
        ...(lines.first && { S3_ENDPOINT: lines.first }),
        ...copyVariables({ ...other, ...keys, S3_PREFIX: "second" }),
        ...(lines.copy && { COPY_S3_ENDPOINT: lines.copy }),
      } as Record<string, string>,
      first: env["S3_BUCKET"] ?? "",
      copy: bucket,
    };
  };
  const line = async (t: TestContext, to: TestStore, fateOf: Parameters<typeof startRelay>[1]) => {
    const relay = await startRelay(to.endpoint, fateOf);
    t.after(() => relay.stop());
    return relay.endpoint;
  };
  const stored = ({ events }: Outcome, event: "backup" | "copied"): Manifest | undefined => {
    const found = events.find((e) => e.event === event);
    return found?.event === "backup" || found?.event === "copied" ? found.manifest : undefined;
  };
  const nothingIn = async (of: World, bucket: string) => {
    assert.deepEqual(await of.keys(bucket), []);
    assert.equal(await of.unfinishedUploads(bucket), 0);
  };

  it("is marked with the deploy that waited for the backup, and one that is young enough is read back and will do", async () => {
    const { env, first, copy } = await both("shop");
    const may = (revision: string) => new RegExp(`^The deploy of ${revision} may go on\\.$`, "m");
    const dumps = async () => (await world.keys(first)).filter((key) => DUMP_SUFFIX.test(key));
    const marks = async (of: World, bucket: string) =>
      (await of.keys(bucket)).flatMap(
        (key) => /_(\S+)\.before-deploy\.(.*)\.json$/.exec(key)?.[2] ?? [],
      );

    const taken = await agent(env, "backup", "--before-deploy", "v1");
    assert.equal(taken.code, 0, taken.stderr);
    assert.match(taken.stdout, may("v1"));
    const accepted = await agent(env, "backup", "--before-deploy", "v2", "--max-age", "60");
    assert.equal(accepted.code, 0, accepted.stderr);
    assert.match(
      accepted.stdout,
      /^Verified shop\/.*\n(?:.*\n)*Before the deploy of v2: the backup of shop/m,
    );
    assert.match(accepted.stdout, may("v2"));
    const again = await agent(env, "backup", "--before-deploy", "v2", "--max-age", "60");
    assert.equal(again.code, 0, again.stderr);
    assert.doesNotMatch(again.stdout, /Verified/, "once is enough");
    assert.equal((await dumps()).length, 1);
    assert.deepEqual(await marks(world, first), ["v1", "v2"]);
    assert.deepEqual(await marks(elsewhere, copy), ["v1", "v2"]);

    assert.match(
      (await agent(env, "list")).stdout,
      /verified, before deploy v1, before deploy v2$/m,
    );
    const words = ["--before-deploy", "v1", "--copy", "--into", "look", "--dry-run", "--yes"];
    const planned = await agent(env, "restore", ...words);
    assert.equal(planned.code, 0, planned.stderr);
    const none = await agent(env, "restore", "--before-deploy", "v3", "--yes");
    assert.match(none.stderr, /taken before a deploy of v3\. The last deploys are v1 \(/);

    const [dump = ""] = await dumps();
    await world.write(first, dump, "PGDMP");
    const instead = await agent(env, "backup", "--before-deploy", "v3", "--max-age", "60");
    assert.equal(instead.code, 0, instead.stderr);
    assert.match(instead.stdout, may("v3"));
    assert.equal((await dumps()).length, 2, "what was overwritten will not do");
    const onlyAdds = await world.keyThatMayPut(`arn:aws:s3:::${first}/*`);
    const blind = await agent(
      { ...env, ...onlyAdds },
      "backup",
      "--before-deploy",
      "v4",
      "--max-age",
      "60",
    );
    assert.equal(blind.code, 0, blind.stderr);
    assert.match(
      blind.stderr,
      /whether a backup is young enough is not known, so one is taken: .*list/,
    );
    assert.equal((await dumps()).length, 3);
    const alone = await agent(env, "backup", "--max-age", "5");
    assert.equal(alone.code, 1);
    assert.match(alone.stderr, /--max-age is for --before-deploy/);
    assert.doesNotMatch(alone.stdout, /may go on/);
  });

  it("holds the same bytes under its own keys, and restores by itself", async () => {
    const { env, first, copy } = await both("shop");
    const own = { ...env, PASSPHRASE: "correct horse battery staple" };
    const outcome = await agent(own, "backup", "--json");
    assert.equal(outcome.code, 0, failure(outcome));
    const here = stored(outcome, "backup");
    const there = stored(outcome, "copied");
    assert(here && there);
    assert.match(here.object.key, /^shop\/production\/shop_.*\.age$/);
    assert.match(there.object.key, /^second\/shop_.*\.age$/);
    assert.equal(there.object.sha256, here.object.sha256);
    assert.equal(there.globals?.sha256, here.globals?.sha256);
    for (const [of, bucket, manifest] of [
      [world, first, here],
      [elsewhere, copy, there],
    ] as const) {
      for (const object of [manifest.object, manifest.globals]) {
        const bytes = await of.read(bucket, object?.key ?? "");
        assert.equal(createHash("sha256").update(bytes).digest("hex"), object?.sha256);
      }
      const [key = ""] = (await of.keys(bucket)).filter((name) => name.includes("manifest"));
      assert.deepEqual(JSON.parse(String(await of.read(bucket, key))), manifest);
    }

    const listed = await agent(own, "list", "--copy", "--json");
    assert.match(listed.stdout, /"key":"second\/shop_/);
    // The first place is gone for good.
    const alone = { ...own, S3_ENDPOINT: "http://127.0.0.1:9", S3_SECRET_ACCESS_KEY: "gone" };
    const restored = await agent(alone, "restore", "--copy", "--into", "shop_again", "--json");
    assert.equal(restored.code, 0, failure(restored));
    const [row] = await world.query("shop_again", "SELECT count(*)::int AS n FROM orders");
    assert.deepEqual(row, { n: 120 });
  });

  it("its service answers 500: the backup is complete, the run has failed, and the error names both", async (t) => {
    const receiver = await Receiver.start();
    t.after(() => receiver.stop());
    const folder = mkdtempSync(join(tmpdir(), "copy-"));
    t.after(() => rmSync(folder, { recursive: true }));
    const metrics = join(folder, "shop.prom");
    const lines = {
      copy: await line(t, elsewhere.store, (m, path) => (isPart(m, path) ? refusal : "pass")),
    };
    const { env, first, copy } = await both("shop", lines);
    const told = {
      ...env,
      METRICS_FILE: metrics,
      WEBHOOK_URL: `${receiver.address}/hook`,
      AGENT_STATE_DIR: folder,
    };
    const outcome = await agent(told, "backup", "--json");
    refused(
      world,
      outcome,
      /^the backup of "shop" is stored in s3:\/\/agent-\d+\/shop\/production at http\S+, but its copy in s3:\/\/agent-\d+\/second at http\S+ failed: cannot upload second\/shop_\S+: .* failed with 500 InternalError/,
    );
    assert.ok(stored(outcome, "backup"));
    assert.equal(stored(outcome, "copied"), undefined);
    assert.equal((await world.keys(first)).length, 3);
    await nothingIn(elsewhere, copy);

    const [hook] = receiver.received.filter(({ path }) => path === "POST /hook");
    const document = JSON.parse(hook?.body ?? "{}");
    assert.equal(document.result, "failed");
    assert.match(document.key, /^shop\/production/);
    assert.equal(document.copyKey, undefined);
    assert.match(readFileSync(join(folder, "agent.result"), "utf8"), /^failed \d+ .* its copy in/);
    const failed = readFileSync(metrics, "utf8");
    assert.match(failed, /last_success_timestamp_seconds\{database="shop"\} \d/);
    assert.match(failed, /last_run_success\{database="shop"\} 0/);
    assert.doesNotMatch(failed, /last_copy/);

    // The service is back.
    const again = await agent(
      { ...told, COPY_S3_ENDPOINT: elsewhere.store.endpoint },
      "backup",
      "--json",
    );
    assert.equal(again.code, 0, failure(again));
    const good = readFileSync(metrics, "utf8");
    assert.match(good, /last_copy_timestamp_seconds\{database="shop"\} \d/);
    assert.match(good, /last_run_success\{database="shop"\} 1/);
    const last = receiver.received.at(-1);
    assert.match(JSON.parse(last?.body ?? "{}").copyKey, /^second\/shop_/);
  });

  const NO_COPY: Record<string, [Record<string, string>, RegExp]> = {
    "refuses connections": [
      { COPY_S3_ENDPOINT: "http://127.0.0.1:9" },
      /its copy in .* failed: .*:9 refuses connections/,
    ],
    "has another secret": [
      { COPY_S3_SECRET_ACCESS_KEY: "a-wrong-secret-of-the-copy" },
      /COPY_S3_SECRET_ACCESS_KEY is wrong/,
    ],
  };
  for (const [what, [changes, sentence]] of Object.entries(NO_COPY)) {
    it(`its service ${what}: the backup is complete`, async () => {
      const { env, first } = await both("shop");
      const outcome = await agent({ ...env, ...changes }, "backup", "--json");
      refused(world, outcome, sentence);
      assert.match(failure(outcome), /^the backup of "shop" is stored in s3:/);
      for (const secret of [env["COPY_S3_SECRET_ACCESS_KEY"], "a-wrong-secret-of-the-copy"]) {
        assert.ok(!(outcome.stdout + outcome.stderr).includes(secret ?? ""), "a secret is printed");
      }
      assert.equal((await world.keys(first)).length, 3);
    });
  }

  it("the first service fails midway: the copy is complete", async (t) => {
    const lines = {
      first: await line(t, world.store, (m, path) => (isPart(m, path) ? refusal : "pass")),
    };
    const { env, first, copy } = await both("big", lines);
    const outcome = await agent(env, "backup", "--json");
    refused(
      world,
      outcome,
      /^the backup of "big" failed in s3:.* failed with 500 .*Its copy in s3:\S+\/second at \S+ is complete/,
    );
    await nothingIn(world, first);
    assert.equal((await elsewhere.keys(copy)).length, 3);
    assert.ok(stored(outcome, "copied"));
    const verified = await agent(env, "verify", "--copy", "--json");
    assert.equal(verified.code, 0, failure(verified));
  });

  it("the first service is down from the start: copied, due or not", async () => {
    const { env, copy } = await both("shop");
    const rare = { ...env, COPY_EVERY: "@yearly" };
    assert.equal((await agent(rare, "backup", "--json")).code, 0);
    const down = await agent({ ...rare, S3_ENDPOINT: "http://127.0.0.1:9" }, "backup", "--json");
    assert.match(failure(down), /failed in .*:9 refuses connections.*Its copy in .* is complete/);
    assert.equal((await elsewhere.keys(copy)).length, 6);
  });

  it("both services are down: both are named", async () => {
    const { env } = await both("shop");
    const gone = { S3_ENDPOINT: "http://127.0.0.1:9", COPY_S3_ENDPOINT: "http://127.0.0.1:7" };
    refused(
      world,
      await agent({ ...env, ...gone }, "backup", "--json"),
      /^the backup of "shop" failed in both buckets\. .*:9 refuses connections.*:7 refuses/,
    );
  });

  it("pg_dump killed midway, and SIGTERM: nothing on either side, one sentence", async () => {
    const { env, first, copy } = await both("big");
    const killed = startAgent(env, "backup", "--json");
    const ended = outcomeOf(killed);
    await progressOf(killed, "upload");
    process.kill(processOf(killed, "pg_dump"), "SIGKILL");
    refused(world, await ended, /^pg_dump was killed \(signal 9\).*Nothing was stored\.$/);
    await nothingIn(world, first);
    await nothingIn(elsewhere, copy);

    const stopped = startAgent(env, "backup", "--json");
    const told = outcomeOf(stopped);
    await progressOf(stopped, "upload");
    stopped.kill("SIGTERM");
    const outcome = await told;
    assert.equal(outcome.code, 143);
    assert.match(failure(outcome), /^stopped by SIGTERM/);
    await nothingIn(world, first);
    await nothingIn(elsewhere, copy);
  });

  it("COPY_EVERY: a copy when one is due by the latest there, each time where the key may not look", async () => {
    const { env, copy } = await both("shop");
    const rare = { ...env, COPY_EVERY: "@yearly" };
    assert.ok(stored(await agent(rare, "backup", "--json"), "copied"));
    const second = await agent(rare, "backup");
    assert.equal(second.code, 0, second.stderr);
    assert.match(second.stdout, /No copy is due: the latest is of \S+, COPY_EVERY is @yearly\./);
    assert.equal((await elsewhere.keys(copy)).length, 3);

    const keys = await elsewhere.keyThatMayPut(`arn:aws:s3:::${copy}/*`);
    const blind = await agent({ ...rare, ...copyVariables(keys) }, "backup", "--json");
    assert.equal(blind.code, 0, failure(blind));
    assert.ok(stored(blind, "copied"));
    assert.match(blind.stderr, /the copy's key may not list its bucket.*each backup is copied/);
  });

  it("a suspect backup is suspect in both buckets; tiers are each bucket's own", async () => {
    const { env } = await both("shop");
    const tiered = { ...env, COPY_TIERS: "true" };
    const good = await agent(tiered, "backup", "--json");
    assert.deepEqual(
      [stored(good, "backup")?.tier, stored(good, "copied")?.tier],
      [null, "monthly"],
      failure(good),
    );
    assert.match(stored(good, "copied")?.object.key ?? "", /^second\/monthly\//);
    await world.query("shop", "ALTER TABLE orders RENAME TO gone");
    const doubted = await agent(tiered, "backup", "--json");
    await world.query("shop", "ALTER TABLE gone RENAME TO orders");
    assert.match(failure(doubted), /stored as suspect .*table public\.orders is gone/);
    for (const event of ["backup", "copied"] as const) {
      assert.match(stored(doubted, event)?.object.key ?? "", /\/suspect\/shop_/);
    }
    const latest = await agent(tiered, "restore", "--copy", "--dry-run", "--json");
    assert.match(latest.stdout, /"key":"second\/monthly\//);
  });

  it("BACKUP_VERIFY reads each bucket back", async () => {
    const { env, first, copy } = await both("shop");
    assert.equal((await agent({ ...env, BACKUP_VERIFY: "true" }, "backup", "--json")).code, 0);
    for (const keys of [await world.keys(first), await elsewhere.keys(copy)]) {
      assert.equal(keys.filter((key) => key.endsWith(".verified.json")).length, 1);
    }
  });

  it("probe tries both, and what cannot be a copy is refused", async () => {
    const { env } = await both("shop");
    const good = await agent({ ...env, COPY_EVERY: "@daily" }, "probe");
    assert.equal(good.code, 0, good.stderr);
    assert.match(good.stdout, /copy {6}s3:\/\/agent-\d+\/second, .* of a backup "@daily"/);
    const rows: [Record<string, string>, RegExp][] = [
      [{ COPY_S3_ACCESS_KEY_ID: "NOBODY" }, /check COPY_S3_ACCESS_KEY_ID/],
      [{ COPY_EVERY: "sometimes" }, /^COPY_EVERY "sometimes" cannot be read/],
      [
        { COPY_S3_ENDPOINT: env["S3_ENDPOINT"] ?? "", COPY_S3_BUCKET: env["S3_BUCKET"] ?? "" },
        /is the bucket agent-\d+ of the backups themselves, and a copy in the same bucket protects/,
      ],
    ];
    for (const [changes, sentence] of rows) {
      refused(world, await agent({ ...env, ...changes }, "probe", "--json"), sentence);
    }
    const none = await agent(await world.environment("shop"), "list", "--copy", "--json");
    assert.match(failure(none), /--copy: this container makes no copy/);
  });
});
