import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Reachable } from "../../../common/contracts/pointInTime.ts";
import { enableWal, RunningWal, walEnvironment } from "../wal/walWorld.ts";
import { agent, failure, unavailable, World } from "../world.ts";
import { serverTime } from "./chain.ts";
import { type Recovered, recover, recoveryFolder } from "./recovered.ts";

/** As `walEnvironment` has it. */
const RPO_MS = 1_000;
/** The pace of the rows, whose own times tell what was lost. */
const BEAT_MS = 100;

describe("what the agent has archived", { skip: unavailable }, () => {
  it("brings back every row up to a moment and none after, one table into the live server, and loses no more than the RPO when all is killed", async (t) => {
    const world = await World.start();
    t.after(() => world.stop());
    await enableWal(world);
    await world.database(
      "shop",
      "CREATE TABLE beats(id int PRIMARY KEY, at timestamptz)",
      "CREATE TABLE orders AS SELECT n AS id FROM generate_series(1, 500) AS n",
    );
    const env = { ...(await walEnvironment(world)), POSTGRES_DATABASE: "shop" };
    const wal = new RunningWal(t, env);
    wal.start();
    await wal.chain();
    const based = await agent(env, "base", "--json");
    assert.equal(based.code, 0, failure(based));

    let beats = 0;
    const beat = async (count: number) => {
      for (let made = 0; made < count; made += 1) {
        beats += 1;
        await world.query("shop", `INSERT INTO beats VALUES (${beats}, clock_timestamp())`);
        await pause(BEAT_MS);
      }
    };
    await beat(10);
    const moment = await serverTime(world);
    const before = beats;
    await world.query("shop", "DROP TABLE orders");
    await beat(10);
    // What was committed before is in the bucket when the mark of the archive says so.
    await wal.until("all WAL in the bucket", async () => {
      const { windows } = await reachable(env);
      return windows.some(({ to }) => to > moment);
    });

    const folder = await recoveryFolder((work) => t.after(work));
    const server = await recovered(t, env, folder, moment);
    const rows = await server.query("shop", "SELECT count(*)::int, max(id) FROM beats");
    assert.deepEqual(rows, [{ count: before, max: before }]);

    const [slot] = await world.query("postgres", "SELECT slot_name FROM pg_replication_slots");
    const brought = await agent(env, "table", "public.orders", "--recovered", folder, "--json");
    assert.equal(brought.code, 0, failure(brought));
    const [orders] = await world.query("shop", "SELECT count(*)::int FROM orders");
    assert.equal(orders?.["count"], 500);
    const again = await agent(env, "table", "orders", "--recovered", folder, "--json");
    assert.match(failure(again), /has a table public\.orders, and a recovery never replaces one\./);
    const beside = ["table", "orders", "--recovered", folder, "--into", "orders_then", "--json"];
    assert.equal((await agent(env, ...beside)).code, 0);
    const none = await agent(env, "table", "carts", "--recovered", folder, "--json");
    assert.match(failure(none), /the database had no such table at that moment\. .* beats, orders/);
    const [state] = await world.query(
      "postgres",
      "SELECT slot_name, timeline_id FROM pg_replication_slots, pg_control_checkpoint()",
    );
    assert.deepEqual(state, { slot_name: slot?.["slot_name"], timeline_id: 1 });

    // Beats go on until the host dies: agent first, the server at once after it.
    await beat(30);
    await wal.kill();
    const [last] = await world.query("shop", "SELECT max(at) AS at FROM beats");
    await world.postgres.stop();
    // A second recovery from the same base, beside the first one.
    const other = await recoveryFolder((work) => t.after(work));
    const newest = await recovered(t, env, other, "latest");
    const [kept] = await newest.query("shop", "SELECT max(at) AS at, count(*)::int FROM beats");
    const lostMs = Number(last?.["at"]) - Number(kept?.["at"]);
    assert.ok(lostMs <= RPO_MS + 5_000, `${lostMs} ms of commits were lost`);
    const [first] = await server.query("shop", "SELECT count(*)::int FROM beats");
    assert.equal(first?.["count"], before);
  });

  async function reachable(env: Record<string, string>): Promise<Reachable> {
    const { events } = await agent(env, "reachable", "--json");
    const found = events.find((event) => event.event === "reachable");
    assert.ok(found?.event === "reachable");
    return found;
  }

  async function recovered(
    t: { after(work: () => Promise<void>): void },
    env: Record<string, string>,
    folder: string,
    moment: string,
  ): Promise<Recovered> {
    const outcome = await agent(env, "fetch", moment, "--folder", folder, "--json");
    assert.equal(outcome.code, 0, failure(outcome));
    const server = await recover(folder, moment === "latest" ? undefined : moment);
    assert.notEqual(typeof server, "string", String(server));
    t.after(() => (server as Recovered).stop());
    return server as Recovered;
  }
});
