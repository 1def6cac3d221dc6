import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type PoolMode, startPooler } from "../../support/servers/pooler.ts";
import { agent, failure, unavailable, World } from "../world.ts";

describe("a pooler between the agent and the server", {
  skip: unavailable,
  timeout: 900_000,
}, () => {
  let world: World;
  let env: Record<string, string>;
  before(async () => {
    world = await World.start();
    await world.database("shop", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS i");
    env = await world.environment("shop");
    await world.backup(env);
  });
  after(() => world?.stop());

  const through = async (mode: PoolMode, work: (env: Record<string, string>) => Promise<void>) => {
    const pooler = await startPooler(world.postgres, mode);
    try {
      await work({ ...env, POSTGRES_PORT: String(pooler.port) });
    } finally {
      await pooler.stop();
    }
  };

  it("in transaction mode: backup, restore and probe are refused at once, and nothing is left on its connections", () =>
    through("transaction", async (pooled) => {
      for (const words of [["backup"], ["restore", "latest", "--into", "pooled"], ["probe"]]) {
        const refused = await agent(pooled, ...words, "--json");
        assert.equal(refused.code, 1);
        assert.match(
          failure(refused),
          /reached through a connection pooler in transaction mode .*POSTGRES_HOST/,
        );
      }
      const locks = await world.query(
        "postgres",
        "SELECT FROM pg_locks WHERE locktype = 'advisory'",
      );
      assert.equal(locks.length, 0);
      const restored = await agent(env, "restore", "latest", "--into", "direct", "--json");
      assert.equal(restored.code, 0, failure(restored));
    }));

  it("in session mode: backup and restore work, and leave no lock", () =>
    through("session", async (pooled) => {
      await world.backup(pooled);
      const restored = await agent(pooled, "restore", "latest", "--into", "pooled", "--json");
      assert.equal(restored.code, 0, failure(restored));
      assert.equal((await world.query("pooled", "SELECT FROM t")).length, 1000);
      // The pooler resets the connection after the client has left.
      const held = () =>
        world.query("postgres", "SELECT FROM pg_locks WHERE locktype = 'advisory'");
      for (let left = 100; left > 0 && (await held()).length > 0; left -= 1) await sleep(50);
      assert.equal((await held()).length, 0);
    }));
});
