import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { connect } from "../../../agent/postgres/connection.ts";
import { countSnapshotRows, takeSnapshot } from "../../../agent/postgres/snapshot.ts";
import { manifestKeyOf } from "../runtime/watch.ts";
import { agent, failure, unavailable, World } from "../world.ts";

describe("what the manifest says", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.start();
  });
  after(() => world?.stop());

  it("large tables are estimated within the allowed share, the others counted", async () => {
    await world.database(
      "large",
      "CREATE TABLE large AS SELECT i, repeat('x', 300) AS body FROM generate_series(1, 200000) i",
      "CREATE TABLE small AS SELECT 1 AS i",
      "CREATE TABLE parts (i int) PARTITION BY LIST (i)",
      "CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1)",
      "ANALYZE",
    );
    const client = await connect({ ...world.postgres, database: "large", dumpOptions: "" });
    try {
      const snapshot = await takeSnapshot(client);
      const [large, part, small] = await countSnapshotRows(client, snapshot.tables, {
        countedUpTo: 50_000,
      });
      assert(large);
      assert.equal(large.exact, false);
      // A hundredth of so few pages scatters; at the real limit it is within two in a hundred.
      assert(Math.abs(large.rows - 200_000) <= 100_000, `estimated ${large.rows}`);
      assert.deepEqual(small, { schema: "public", name: "small", rows: 1, exact: true });
      assert.deepEqual(part, {
        schema: "public",
        name: "parts_1",
        rows: 0,
        exact: true,
        partition: true,
      });
    } finally {
      await client.end();
    }
  });

  it("of a newer version: listed, not restored as latest without a word, other backups reachable", async () => {
    await world.database("newer", "CREATE TABLE t AS SELECT 1 AS i");
    const env = await world.environment("newer");
    const bucket = env["S3_BUCKET"] ?? "";
    const first = await world.backup(env);
    const second = await world.backup(env);
    await world.write(bucket, manifestKeyOf(second), JSON.stringify({ ...second, version: 2 }));
    const latest = await agent(env, "restore", "--json");
    assert.equal(latest.code, 1);
    assert.match(failure(latest), /has version 2, this program reads version 1\. Use a newer/);

    const listed = await agent(env, "list", "--json");
    const event = listed.events.find((e) => e.event === "list");
    assert(event?.event === "list", failure(listed));
    const manifests = event.backups.map(({ manifest }) => manifest);
    assert.deepEqual(manifests, [null, first]);

    // The next backup is compared with the newest one that can be read, and says which one it was not.
    const next = await agent(env, "backup", "--json");
    assert.equal(next.code, 0, failure(next));
    assert.match(next.stderr, /not compared with the backup of .*has version 2/);
  });

  it("1,200 tables: all in the manifest, and all back", async () => {
    await world.query("postgres", "CREATE DATABASE crowd");
    for (let from = 0; from < 1_200; from += 400) {
      await world.query(
        "crowd",
        `DO $$ BEGIN FOR i IN ${from + 1}..${from + 400} LOOP EXECUTE format('CREATE TABLE t%s (i int)', i); END LOOP; END $$`,
      );
    }
    await world.query("crowd", "INSERT INTO t1199 VALUES (1), (2)");
    const env = await world.environment("crowd");
    const manifest = await world.backup(env);
    assert.equal(manifest.tables.length, 1_200);
    assert.equal(manifest.tables.find(({ name }) => name === "t1199")?.rows, 2);
    const restored = await agent(env, "restore", "latest", "--into", "crowd_again", "--json");
    assert.equal(restored.code, 0, failure(restored));
    const event = restored.events.find((e) => e.event === "restored");
    assert(event?.event === "restored");
    assert.deepEqual([event.tables, event.rows, event.compared], [1_200, 2, true]);
  });

  it("a value of 64 MiB, three times what an upload buffers, goes through the stream and back", async () => {
    await world.database(
      "wide",
      "CREATE TABLE wide (body bytea)",
      "ALTER TABLE wide ALTER body SET STORAGE EXTERNAL",
      "INSERT INTO wide SELECT convert_to(repeat(md5('x'), 64 * 1024 * 1024 / 32), 'UTF8')",
    );
    const env = await world.environment("wide");
    await world.backup(env);
    const restored = await agent(env, "restore", "latest", "--into", "wide_again", "--json");
    assert.equal(restored.code, 0, failure(restored));
    const same = "SELECT octet_length(body) AS bytes, md5(body) AS digest FROM wide";
    const [original] = await world.query("wide", same);
    assert.equal(original?.["bytes"], 64 * 1024 * 1024);
    assert.deepEqual(await world.query("wide_again", same), [original]);
  });
});
