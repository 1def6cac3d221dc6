import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import { withDropMark } from "../../../../agent/restore/kept/dropTime.ts";
import { BIG, progressOf } from "../../runtime/watch.ts";
import {
  agent,
  attachedAgent,
  failure,
  outcomeOf,
  startAgent,
  unavailable,
  World,
} from "../../world.ts";

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

  it("--drop-after: the first scheduled backup after it drops the marked one, never another, nor one in use; undo takes the mark off", async () => {
    const comment = async (name: string) => {
      const [row] = await world.query(
        "postgres",
        `SELECT shobj_description(oid, 'pg_database') AS text FROM pg_database WHERE datname = '${name}'`,
      );
      return row?.["text"];
    };
    const scheduled = async () => {
      const run = await agent({ ...shop, SCHEDULE: "@daily" }, "backup", "--scheduled");
      assert.equal(run.code, 0, run.stderr);
      return run;
    };
    await world.query("postgres", "COMMENT ON DATABASE shop IS 'the shop'");
    assert.match(
      failure(await agent(shop, "restore", "--drop-after", "soon", "--json")),
      /--drop-after soon must be a number of days or hours/,
    );
    const first = await agent(shop, "restore", "--drop-after", "7d", "--json");
    assert.equal(first.code, 0, failure(first));
    const [marked = ""] = await beside("shop");
    assert.match(
      String(await comment(marked)),
      /^the shop\n\[kamal-postgres-backup: may be dropped/,
    );
    const kept = await agent(shop, "kept", "--json");
    const event = kept.events.find((each) => each.event === "kept");
    assert(event?.event === "kept");
    const inWeek = Date.parse(event.databases[0]?.dropAfter ?? "") - Date.now();
    assert.ok(Math.abs(inWeek - 7 * 86_400_000) < 600_000, String(inWeek));
    await scheduled();
    assert.deepEqual(await beside("shop"), [marked], "its time has not come");

    assert.equal((await agent(shop, "undo", marked, "--json")).code, 0);
    assert.equal(await comment("shop"), "the shop");
    const [unmarked = ""] = await beside("shop");
    const second = await agent(shop, "restore", "--drop-after", "1h", "--json");
    assert.equal(second.code, 0, failure(second));
    const [due = ""] = (await beside("shop")).filter((name) => name !== unmarked);
    const past = withDropMark("the shop", new Date(Date.now() - 60_000)).replace(
      "\n",
      "'||chr(10)||'",
    );
    await world.query(
      "postgres",
      `DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE %I IS %L', '${due}', '${past}'); END $$`,
    );
    const { host, port, user, password } = world.postgres;
    const user1 = new pg.Client({ host, port, user, password, database: due });
    await user1.connect();
    assert.match(
      (await scheduled()).stderr,
      new RegExp(`"${due}" should be dropped, but is in use`),
    );
    await user1.end();
    const byHand = await agent(shop, "backup");
    assert.equal(byHand.code, 0, byHand.stderr);
    assert.ok((await beside("shop")).includes(due), "not by a run by hand");
    assert.match(
      (await scheduled()).stdout,
      new RegExp(`Dropped "${due}" \\(.*\\), as --drop-after`),
    );
    assert.deepEqual(await beside("shop"), [unmarked]);
    await drop([unmarked]);
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
