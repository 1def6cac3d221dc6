import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  formatRecipient,
  generateIdentity,
  parseIdentity,
  publicKeyOf,
} from "../../../common/age/keys.ts";
import { agent, agentFed, failure, unavailable, World } from "../world.ts";
import { serverTime, TestChain } from "./chain.ts";
import { type Recovered, recover, recoveryFolder } from "./recovered.ts";

describe("a recovery to a point in time", { skip: unavailable }, () => {
  let world: World;
  let env: Record<string, string>;
  let chain: TestChain;
  const identity = generateIdentity();
  const recipient = formatRecipient(publicKeyOf(parseIdentity(identity)));
  /** Moments of the story below. */
  const at: Record<"beforeBase" | "first" | "accident" | "later" | "idle", string> = {
    ...{ beforeBase: "", first: "", accident: "", later: "", idle: "" },
  };

  before(async () => {
    world = await World.start();
    await world.database("shop", "CREATE TABLE orders(id int PRIMARY KEY, made timestamptz)");
    env = {
      ...(await world.environment("shop")),
      AGE_RECIPIENTS: recipient,
      SIGNING_KEYS: Buffer.alloc(32, 7).toString("base64url"),
    };
    at.beforeBase = await serverTime(world);
    chain = await TestChain.begin(world, env, [recipient]);
    await chain.base();
    await insert(1, 100);
    at.first = await serverTime(world);
    await insert(101, 200);
    await chain.archive();
    await insert(201, 300);
    at.accident = await serverTime(world);
    await world.query("shop", "DROP TABLE orders");
    // Whole segments, beside the pieces of the open one.
    await world.query("postgres", "SELECT pg_switch_wal()");
    await world.query("shop", "CREATE TABLE later AS SELECT generate_series(1, 10) AS n");
    at.later = await serverTime(world);
    await chain.archive();
    const { time } = await chain.alive();
    at.idle = time;
  });

  after(async () => {
    await chain?.stop();
    await world?.stop();
  });

  async function insert(from: number, to: number): Promise<void> {
    await world.query(
      "shop",
      `INSERT INTO orders SELECT n, clock_timestamp() FROM generate_series(${from}, ${to}) AS n`,
    );
  }

  const fetch = (moment: string, folder: string) =>
    agentFed(env, identity, "fetch", moment, "--folder", folder, "--identity-stdin", "--json");

  async function recovered(t: { after(work: () => Promise<void>): void }, moment: string) {
    const folder = await recoveryFolder((work) => t.after(work));
    const outcome = await fetch(moment, folder);
    assert.equal(outcome.code, 0, failure(outcome));
    const server = await recover(folder, moment);
    assert.notEqual(typeof server, "string", String(server));
    t.after(() => (server as Recovered).stop());
    return { folder, server: server as Recovered };
  }

  it("has every row up to the moment and none after, from pieces of a segment that was still open", async (t) => {
    const { server } = await recovered(t, at.first);
    const rows = await server.query("shop", "SELECT min(id), max(id), count(*) FROM orders");
    assert.deepEqual(rows, [{ min: 1, max: 100, count: "100" }]);
  });

  it("goes into the live server by the way of a restore: swapped, recorded, and undone", async (t) => {
    const { folder } = await recovered(t, at.accident);
    const args = ["restore", at.accident, "--recovered", folder, "--yes", "--json"];
    const outcome = await agent(env, ...args);
    assert.equal(outcome.code, 0, failure(outcome));
    const restored = outcome.events.find((event) => event.event === "restored");
    assert.ok(restored?.event === "restored");
    assert.equal(restored.from, at.accident.replace("Z", ""));
    assert.equal(restored.rows, 300);
    assert.equal(restored.compared, true);
    const [count] = await world.query("shop", "SELECT count(*)::int FROM orders");
    assert.equal(count?.["count"], 300);
    const history = await agent(env, "history", "--json");
    const records = history.events.find((event) => event.event === "history");
    assert.ok(records?.event === "history");
    assert.equal(records.records[0]?.from, at.accident.replace("Z", ""));
    assert.ok(restored.previous);
    const undone = await agent(env, "undo", restored.previous, "--yes", "--json");
    assert.equal(undone.code, 0, failure(undone));
    const [later] = await world.query("shop", "SELECT count(*)::int FROM later");
    assert.equal(later?.["count"], 10);
    // The dump that lies beside the recovery is no backup.
    assert.deepEqual((await agent(env, "list", "--json")).events.at(0), {
      ...{ event: "list", backups: [], lastFailure: null, drills: [] },
    });
  });

  it("of an idle moment ends without the target, which is right there, and PostgreSQL says that sentence", async (t) => {
    const folder = await recoveryFolder((work) => t.after(work));
    assert.equal((await fetch(at.idle, folder)).code, 0);
    const given = await recover(folder, at.idle);
    assert.match(String(given), /recovery ended before configured recovery target was reached/);
    const server = await recover(folder);
    assert.notEqual(typeof server, "string", String(server));
    t.after(() => (server as Recovered).stop());
    const rows = await (server as Recovered).query("shop", "SELECT count(*)::int FROM later");
    assert.deepEqual(rows, [{ count: 10 }]);
  });

  it("is refused before the first base and after the newest WAL, with what can be recovered", async (t) => {
    const folder = await recoveryFolder((work) => t.after(work));
    const before = await fetch(at.beforeBase, folder);
    assert.equal(before.code, 1);
    assert.match(
      failure(before),
      /UTC lies before the oldest moment that is stored\. Any second can be recovered from 20\S+ \S+ to 20\S+ \S+ UTC\. Give one of them with --to\.$/,
    );
    const future = new Date(Date.now() + 3_600_000).toISOString();
    const after = await fetch(future, folder);
    assert.match(failure(after), /lies after the newest moment that is stored/);
  });

  it("is refused without the identity, and of a chain that somebody else has signed", async (t) => {
    const folder = await recoveryFolder((work) => t.after(work));
    const keyless = await agent(env, "fetch", at.first, "--folder", folder, "--json");
    assert.match(failure(keyless), /cannot be read: .*identity/i);
    const others = { ...env, SIGNING_KEYS: Buffer.alloc(32, 8).toString("base64url") };
    const foreign = await agent(others, "fetch", at.first, "--folder", folder, "--json");
    assert.match(failure(foreign), /holds no base backup with its WAL/);
  });
});
