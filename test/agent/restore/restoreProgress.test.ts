import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { agent, failure, unavailable, World } from "../world.ts";

describe("a restore reports its progress", { skip: unavailable, timeout: 900_000 }, () => {
  let world: World;
  let env: Record<string, string>;
  const scratch = mkdtempSync(join(tmpdir(), "restore-progress-"));
  const tables = ["public.a", "public.b", "sales.Odd name", "sales.c"];
  before(async () => {
    world = await World.start();
    await world.database(
      "steps",
      "CREATE SCHEMA sales",
      "CREATE TABLE a AS SELECT generate_series(1, 50) AS i",
      "CREATE TABLE b (i int PRIMARY KEY)",
      'CREATE TABLE sales."Odd name" (i int)',
      "CREATE TABLE sales.c (i int)",
    );
    // Without a key a restore says that it could not check the backup's origin.
    const SIGNING_KEYS = randomBytes(32).toString("base64url");
    env = { ...(await world.environment("steps")), SIGNING_KEYS };
    await world.backup(env);
  });
  after(async () => {
    rmSync(scratch, { recursive: true });
    await world?.stop();
  });

  const ways: readonly [string, readonly string[]][] = [
    ["streamed", []],
    ["with every core", ["--scratch", scratch]],
  ];
  for (const [way, options] of ways) {
    it(`${way}: by table, from the first to the last`, async () => {
      const outcome = await agent(env, "restore", ...options, "--json");
      assert.equal(outcome.code, 0, failure(outcome));
      const steps = outcome.events.flatMap((event) =>
        event.event === "progress" && event.step === "restore" ? [event] : [],
      );
      const [first] = steps;
      assert(tables.includes(first?.table ?? ""), JSON.stringify(first));
      assert((first?.done ?? 4) < 4);
      for (const { total } of steps) assert.equal(total, 4);
      assert.equal(steps.at(-1)?.done, 4);
      assert.equal(outcome.stderr, "", "the talk stays inside");
    });

    it(`${way}: fails with the server's reason`, async () => {
      const name = options.length === 0 ? "astray" : "astray_parallel";
      // Its check looks for a table by a name that does not hold while pg_restore works.
      await world.database(
        name,
        "CREATE TABLE limits AS SELECT 10 AS highest",
        "CREATE FUNCTION allowed(int) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN $1 <= (SELECT highest FROM limits); END'",
        "CREATE TABLE orders (i int CHECK (allowed(i)))",
        "INSERT INTO orders VALUES (1)",
      );
      const own = await world.environment(name);
      await world.backup(own);
      const outcome = await agent(own, "restore", ...options, "--json");
      assert.equal(outcome.code, 1);
      assert.match(
        failure(outcome),
        /pg_restore failed with exit code 1: COPY failed for table "orders": relation "limits" does not exist\..*" was not touched\.$/,
      );
      assert.doesNotMatch(failure(outcome), /creating|processing/);
    });
  }
});
