import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { BIG, progressOf } from "../runtime/watch.ts";
import {
  agent,
  attachedAgent,
  failure,
  outcomeOf,
  startAgent,
  unavailable,
  World,
} from "../world.ts";

const COMMENT = "kamal-postgres-backup: unfinished restore, safe to drop";

describe("what a restore leaves", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  let env: Record<string, string>;
  /** Of a small database, for what is whole restores. */
  let shop: Record<string, string>;
  let unfinished: string;
  const folder = mkdtempSync(join(tmpdir(), "leftovers-"));
  before(async () => {
    world = await World.start();
    await world.database("big", ...BIG);
    env = { ...(await world.environment("big")), AGENT_STATE_DIR: folder };
    await world.backup(env);
    await world.database("shop", "CREATE TABLE t AS SELECT 1 AS i");
    shop = { ...(await world.environment("shop")), AGENT_STATE_DIR: folder };
    const { takenAt } = await world.backup(shop);
    unfinished = `shop_restore_${takenAt.slice(0, 19).replaceAll(/[-:]/g, "")}`;
  });
  after(async () => {
    rmSync(folder, { recursive: true });
    await world?.stop();
  });

  const beside = async (of = "big") =>
    (await world.databases()).filter((name) => name.startsWith(`${of}_`));
  const drop = async (names: readonly string[]) => {
    for (const name of names) await world.query("postgres", `DROP DATABASE "${name}" WITH (FORCE)`);
  };

  it("killed restores, also within CREATE DATABASE: the next one drops and names them, and no others", async () => {
    const [empty, older, foreign, used] = [
      unfinished,
      "shop_restore_20250101T000000",
      "look_restore_20250101T000000",
      "shop_restore_20250102T000000",
    ];
    for (const name of [empty, older, foreign, used, "shop_restore_new"]) {
      await world.query("postgres", `CREATE DATABASE "${name}" TEMPLATE template0`);
    }
    for (const name of [older, foreign]) {
      await world.query("postgres", `COMMENT ON DATABASE "${name}" IS '${COMMENT}'`);
    }
    await world.query(older, "CREATE TABLE t (i int)");
    await world.query(used, "CREATE TABLE somebody_s (i int)");
    const listed = await agent(shop, "kept", "--json");
    const event = listed.events.find((each) => each.event === "kept");
    assert.deepEqual(
      event?.event === "kept" && event.databases.map(({ name, kind }) => [name, kind]),
      [older, used, empty, foreign].sort().map((name) => [name, "unfinished"]),
    );
    const restored = await agent(shop, "restore", "--json");
    assert.equal(restored.code, 0, restored.stdout + restored.stderr);
    for (const name of [empty, older, foreign]) {
      assert.match(
        restored.stderr,
        new RegExp(`dropped what unfinished restores had left:.*"${name}"`),
      );
    }
    const left = await world.databases();
    assert.deepEqual(
      left.filter((name) => name.includes("_restore_")),
      ["shop_restore_20250102T000000", "shop_restore_new"],
    );
    await drop([
      "shop_restore_new",
      ...(await beside("shop")).filter((name) => name !== "shop_restore_new"),
    ]);
  });

  it("the lock of a killed restore, which its server process still holds: the next one waits for it", async () => {
    const { host, port, user, password } = world.postgres;
    const killed = new pg.Client({ host, port, user, password, database: "postgres" });
    await killed.connect();
    try {
      await killed.query(`SELECT pg_advisory_lock(${0x6b706762}, 2)`);
      const outcome = outcomeOf(startAgent(env, "restore", "--dry-run", "--json"));
      const waits = `SELECT pid FROM pg_stat_activity
        WHERE pid <> pg_backend_pid() AND query LIKE 'SELECT pg_try_advisory_lock%'`;
      while ((await killed.query(waits)).rows.length === 0) await sleep(50);
      await killed.query(`SELECT pg_advisory_unlock(${0x6b706762}, 2)`);
      const waited = await outcome;
      assert.equal(waited.code, 0, failure(waited));
    } finally {
      await killed.end();
    }
  });

  it("its record says from what, how long it took, and of a failed or stopped try why; an undo has one too", async () => {
    const restored = await agent(env, "restore", "--json");
    assert.equal(restored.code, 0, failure(restored));
    const [before = ""] = await beside();
    assert.equal((await agent(env, "restore", "2020-01-01T00:00:00", "--json")).code, 1);
    const child = attachedAgent(env, "restore", "--json");
    const stopped = outcomeOf(child);
    await progressOf(child, "download");
    child.stdin.end();
    assert.equal((await stopped).code, 129);
    assert.equal((await agent(env, "undo", before, "--json")).code, 0);
    const history = await agent(env, "history", "--json");
    const event = history.events.find((each) => each.event === "history");
    assert(event?.event === "history", history.stderr);
    const rows = event.records
      .slice(0, 4)
      .map(({ action, result, from }) => [action, result, from]);
    assert.deepEqual(rows.slice(0, 3), [
      ["undo", "done", before],
      ["restore", "stopped", "latest"],
      ["restore", "failed", "2020-01-01T00:00:00"],
    ]);
    const [, stop, failed, done] = event.records;
    assert.match(
      stop?.error ?? "",
      /nothing was stored or changed; the unfinished database was dropped\.$/,
    );
    assert.match(failed?.error ?? "", /no backup of big from 2020-01-01/);
    assert.equal(done?.previous, before);
    assert((done?.elapsedMs ?? 0) > 0);
    await drop(await beside());
  });

  it("kept --drop: one by its name, never one in use, the only one left, or somebody's own", async () => {
    await agent(shop, "restore", "--json");
    const [name = ""] = await beside("shop");
    const asked = await agent(shop, "kept", "--drop", name, "--json");
    assert.match(failure(asked), /there is no terminal\. Add --yes/);
    const refused = async (what: string, sentence: RegExp) =>
      assert.match(failure(await agent(shop, "kept", "--drop", what, "--yes", "--json")), sentence);
    await refused(
      "shop",
      /"shop" is no database that a restore has left, so it was not dropped\. Those are: "shop_before_/,
    );
    await refused("postgres", /is no database that a restore has left/);
    await world.query("postgres", 'ALTER DATABASE shop RENAME TO "elsewhere"');
    await refused(
      name,
      /there is no database "shop" on this server, so .* may be all that is left/,
    );
    await world.query("postgres", "ALTER DATABASE elsewhere RENAME TO shop");
    assert.deepEqual(await beside("shop"), [name]);
    const dropped = await agent(shop, "kept", "--drop", name, "--yes", "--json");
    assert.equal(dropped.code, 0, failure(dropped));
    assert.deepEqual(await beside("shop"), []);
  });

  it("a second terminal sees a restore that runs, and stops it", async () => {
    const child = startAgent(env, "restore", "--json");
    const outcome = outcomeOf(child);
    await progressOf(child, "download");
    const activity = await agent(env, "activity", "--json");
    const seen = activity.events.find((each) => each.event === "activity");
    assert(seen?.event === "activity", activity.stderr);
    assert.deepEqual(
      seen.runs.map(({ pid, words }) => [pid, words]),
      [[child.pid, "restore latest"]],
    );
    const cancelled = await agent(env, "cancel", "--json");
    assert.equal(cancelled.code, 0, failure(cancelled));
    const ended = await outcome;
    assert.equal(ended.code, 143);
    assert.match(
      failure(ended),
      /^cancelled from another terminal before it was complete; nothing was/,
    );
    assert.deepEqual(await beside(), []);
    assert.match(
      failure(await agent(env, "cancel", "restore", "--json")),
      /no restore is running in this container\./,
    );
    assert.deepEqual(
      readdirSync(folder).filter((name) => name.startsWith("agent.run.")),
      [],
    );
  });

  it("killed with its archive unpacked: nothing readable is left, and what an older version left is removed", async () => {
    const scratch = mkdtempSync(join(folder, "scratch-"));
    mkdirSync(join(scratch, "restore-Ab3xYz"));
    writeFileSync(join(scratch, "restore-Ab3xYz/archive.dump"), "PGDMP");
    const child = startAgent(env, "restore", "--scratch", scratch, "--json");
    const outcome = outcomeOf(child);
    await progressOf(child, "restore");
    assert.deepEqual(readdirSync(scratch), []);
    child.kill("SIGKILL");
    await outcome;
    assert.deepEqual(readdirSync(scratch), []);
    const again = await agent(env, "restore", "--scratch", scratch, "--json");
    assert.equal(again.code, 0, failure(again));
    assert.deepEqual(readdirSync(scratch), []);
    assert.deepEqual(
      (await beside()).filter((name) => name.includes("_restore_")),
      [],
    );
    await drop(await beside());
  });
});
