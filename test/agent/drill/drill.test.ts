import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { DrilledEvent } from "../../../common/contracts/agentEvents.ts";
import { attachedAgent, failure, outcomeOf, unavailable, World } from "../world.ts";

describe("a drill in the agent", { skip: unavailable, timeout: 600_000 }, () => {
  let world: World;
  let env: Record<string, string>;
  let stamp: string;
  before(async () => {
    world = await World.start();
    await world.database(
      "app",
      "CREATE SCHEMA shop",
      "CREATE SEQUENCE shop.numbers",
      "CREATE TABLE shop.orders (id int PRIMARY KEY, customer int)",
      "ALTER DATABASE app SET search_path = shop, public",
      "INSERT INTO shop.orders SELECT i, i FROM generate_series(1, 100) i",
    );
    env = await world.environment("app");
    stamp = (await world.backup(env)).takenAt.replace("Z", "");
  });
  after(() => world?.stop());

  /** Drills into the server, as the command line lets it. The database that a drill has made is dropped before. */
  async function drill(
    request: unknown,
    {
      wanted = stamp,
      over = {},
      words = [],
    }: { wanted?: string; over?: Record<string, string>; words?: readonly string[] } = {},
  ) {
    if ((await world.databases()).includes("app")) await world.drop("app");
    const child = attachedAgent({ ...env, ...over }, "drill", wanted, "--json", ...words);
    child.stdin.write(`${JSON.stringify(request)}\n\n`);
    const outcome = await outcomeOf(child);
    const event = outcome.events.find(({ event }) => event === "drilled");
    return { ...outcome, drilled: event as DrilledEvent | undefined };
  }

  it("refuses a server that holds a database, which may be a live one", async () => {
    const child = attachedAgent(env, "drill", "--json");
    child.stdin.write("{}\n\n");
    const { code, events } = await outcomeOf(child);
    const event = events.find(({ event }) => event === "drilled");
    assert.ok(event?.event === "drilled");
    assert.deepEqual([code, event.verdict], [3, "couldNotRun"]);
    assert.match(
      event.reason ?? "",
      /a drill wants a server of its own, and this one has the database "app"/,
    );
    const [row] = await world.query("app", "SELECT count(*)::int AS n FROM shop.orders");
    assert.deepEqual(row, { n: 100 });
  });

  it("passes: restored, compared, each check asked and nothing changed by one", async () => {
    const checks = [
      "-- no order without a customer",
      "SELECT id FROM orders WHERE customer IS NULL;",
      "SELECT 1 WHERE (SELECT count(*) FROM orders) <> 100",
    ].join("\n");
    const { code, drilled, stderr } = await drill({ checks });
    assert.equal(code, 0, JSON.stringify(drilled?.checks) + stderr);
    assert.ok(drilled);
    const { readMs, loadMs, totalMs, serverMajor, ...rest } = drilled;
    assert.deepEqual(rest, {
      event: "drilled",
      database: "app",
      from: stamp,
      verdict: "passed",
      reason: null,
      tables: 1,
      rows: 100,
      compared: true,
      checks: [
        { name: "no order without a customer", line: 2, passed: true, rows: 0, error: null },
        {
          name: "SELECT 1 WHERE (SELECT count(*) FROM orders) <> 100",
          line: 3,
          passed: true,
          rows: 0,
          error: null,
        },
      ],
      notRestored: [],
      masked: 0,
    });
    assert.ok(readMs !== null && loadMs !== null && readMs > 0 && loadMs > 0);
    assert.ok(totalMs >= loadMs && (serverMajor ?? 0) >= 14);
    assert.ok(
      !(await world.keys(env["S3_BUCKET"] ?? "")).some((key) => key.includes("/restores/")),
    );
  });

  it("fails by a check that returns rows, that cannot be run, or that would change something", async () => {
    const checks = [
      "SELECT id FROM orders WHERE id > 97;",
      "SELECT nothing FROM orders;",
      "SELECT 1 / (id - id) FROM orders;",
      "DELETE FROM orders;",
      "SELECT nextval('numbers');",
      "SELECT id FROM orders WHERE false;",
    ].join("\n");
    const { code, drilled } = await drill({ checks });
    assert.ok(drilled);
    assert.deepEqual(
      [code, drilled.verdict, drilled.reason],
      [1, "failed", "5 of 6 checks did not pass."],
    );
    assert.deepEqual(
      drilled.checks.map(({ line, passed, rows }) => [line, passed, rows]),
      [
        [1, false, 3],
        [2, false, null],
        [3, false, null],
        [4, false, null],
        [5, false, null],
        [6, true, 0],
      ],
    );
    assert.match(drilled.checks[2]?.error ?? "", /division by zero/);
    const [row] = await world.query("app", "SELECT count(*)::int AS n FROM shop.orders");
    assert.deepEqual(row, { n: 100 });
  });

  it("masks in one transaction, before the checks see anything; half a mask is none", async () => {
    const mask = [
      "-- nobody's orders",
      "UPDATE orders SET customer = 0 WHERE id > 50;",
      "DELETE FROM orders WHERE id = 1;",
    ].join("\n");
    const checks = "SELECT id FROM orders WHERE id > 50 AND customer <> 0 OR id = 1";
    const { code, drilled } = await drill({ mask, checks });
    assert.deepEqual([code, drilled?.masked, drilled?.checks[0]?.passed], [0, 2, true]);
    const broken = await drill({ mask: `${mask}\nUPDATE nothing SET x = 1` });
    assert.deepEqual([broken.code, broken.drilled?.masked], [3, 0]);
    assert.match(
      broken.drilled?.reason ?? "",
      /^the mask failed at line 4 \(UPDATE nothing SET x = 1\): relation "nothing" does not exist\.$/,
    );
    const [row] = await world.query("app", "SELECT sum(customer)::int AS sum FROM shop.orders");
    assert.deepEqual(row, { sum: 5050 });
    for (const [mask, sentence] of [
      ["-- later", /the mask holds comments alone/],
      ["UPDATE orders SET id = 1;\nCOMMIT;", /line 2 of the mask \(COMMIT\) ends or begins a tran/],
      ["UPDATE orders SET id = 'x", /begins on line 1 of the mask has no end/],
    ] as const) {
      assert.match(failure(await drill({ mask })), sentence);
    }
  });

  it("restores a part: no rows, or not every table", async () => {
    const bare = await drill({}, { words: ["--schema-only"] });
    assert.equal(bare.code, 0, bare.drilled?.reason ?? bare.stderr);
    assert.deepEqual([bare.drilled?.compared, bare.drilled?.rows], [false, 0]);
    const count = "SELECT count(*)::int AS n FROM shop.orders";
    assert.deepEqual(await world.query("app", count), [{ n: 0 }]);
    const without = await drill({}, { words: ["--exclude-table", "shop.orders", "--no-owner"] });
    assert.deepEqual([without.code, without.drilled?.tables], [0, 0]);
    await assert.rejects(world.query("app", count), /relation "shop.orders" does not exist/);
  });

  it("fails when a row is gone from the dump, and when the dump is not the one that was stored", async () => {
    const bucket = env["S3_BUCKET"] ?? "";
    await drill({});
    await world.query("app", "DELETE FROM shop.orders WHERE id = 7");
    const fewer = await world.environment("app");
    const after = await world.backup(fewer);
    const key =
      (await world.keys(bucket)).find(
        (one) => one.includes(stamp) && /pgdump|dump\.zst/.test(one),
      ) ?? "";
    const manifestAt = key.replace(/\.(pgdump|dump\.zst)$/, ".manifest.json");
    const [original, manifest] = [
      await world.read(bucket, key),
      await world.read(bucket, manifestAt),
    ];
    const body = await world.read(fewer["S3_BUCKET"] ?? "", after.object.key);
    await world.write(bucket, key, body);
    const damaged = await drill({});
    assert.deepEqual([damaged.code, damaged.drilled?.verdict], [1, "failed"]);
    assert.match(
      damaged.drilled?.reason ?? "",
      /was overwritten: it has \d+ bytes|is damaged: its SHA-256/,
    );
    const { bytes, sha256 } = after.object;
    const forged = JSON.parse(String(manifest));
    await world.write(
      bucket,
      manifestAt,
      JSON.stringify({ ...forged, object: { key, bytes, sha256 } }),
    );
    const { code, drilled } = await drill({});
    assert.deepEqual(
      [code, drilled?.verdict, drilled?.reason],
      [
        1,
        "failed",
        "the restored data differs from the snapshot: shop.orders: 99 rows instead of 100.",
      ],
    );
    assert.ok(!(await world.databases()).includes("app"), "what differs is not left");
    await world.write(bucket, key, original);
    await world.write(bucket, manifestAt, manifest);
  });

  it("could not run where nothing is shown of the backup: no such time, a wrong key, no bucket", async () => {
    const none = await drill({}, { wanted: "2020-01-01T00:00:00" });
    assert.deepEqual([none.code, none.drilled?.verdict], [3, "couldNotRun"]);
    assert.match(none.drilled?.reason ?? "", /no backup of app from 2020-01-01T00:00:00/);
    const gone = await drill({}, { over: { S3_BUCKET: "no-such-bucket" } });
    assert.deepEqual([gone.code, gone.drilled?.verdict], [3, "couldNotRun"]);
    const open = await drill({ checks: "select 'a" });
    assert.equal(open.code, 1);
    assert.match(failure(open), /a quote that begins on line 1 of the checks has no end/);
  });
});
