import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { type Outcome, agent, unavailable, World } from "../world.ts";
import { startPostgres, type TestPostgres } from "../../support/servers/postgres.ts";
import { APPLICATIONS, type RichDatabase } from "./databases.ts";
import { differences, otherOwners, type Picture, shown, unannounced } from "./picture.ts";
import { localTool, Side } from "./side.ts";

/** `MATRIX=whole`: every database goes everywhere. */
const WHOLE = process.env["MATRIX"] === "whole";

describe("a database that holds everything, backed up and restored", { skip: unavailable }, () => {
  let world: World;
  let fresh: TestPostgres;
  let foreign: TestPostgres;
  let here: Side;
  let there: Side;
  let elsewhere: Side;

  before(async () => {
    [world, fresh, foreign] = await Promise.all([
      World.start(),
      startPostgres({ name: "fresh" }),
      startPostgres({ user: "ops", name: "fresh" }),
    ]);
    here = new Side(world.postgres.major, localTool(world.postgres));
    there = new Side(fresh.major, localTool(fresh));
    elsewhere = new Side(foreign.major, localTool(foreign));
    await here.sql("postgres", readFileSync(join(import.meta.dirname, "sql/roles.sql"), "utf8"));
  });
  after(async () => {
    await Promise.all([world?.stop(), fresh?.stop(), foreign?.stop()]);
  });

  for (const databases of APPLICATIONS) {
    it(databases[0]?.name ?? "", async () => {
      for (const database of databases) await here.create(database);
      const env = await world.environment(databases.map(({ name }) => name).join(","));
      const backup = await agent(env, "backup", "--json");
      assert.equal(backup.code, 0, backup.stdout.slice(-500) + backup.stderr);
      for (const database of databases) {
        const before = await here.picture(database.name);
        await check(env, before, database, here, world.postgres);
        await check(env, before, database, there, fresh, "--globals");
        await check(env, before, database, elsewhere, foreign, "--globals");
      }
    });
  }

  async function check(env: Record<string, string>, before: Picture, { name }: RichDatabase, side: Side, server: TestPostgres, ...options: string[]) {
    const at = { POSTGRES_PORT: String(server.port), POSTGRES_USER: server.user, POSTGRES_DATABASE: name };
    const outcome = await agent({ ...env, ...at }, "restore", "latest", "--json", "--yes", ...options);
    console.log(name, server.user, server.port, outcome.code, outcome.stderr.slice(0, 1500), outcome.code ? outcome.stdout.slice(-600) : "");
    if (outcome.code !== 0) return;
    const after = await side.picture(name);
    for (const each of differences(before, after)) console.log(shown(each));
    const owners = otherOwners(before, after); console.log(owners.length, owners.slice(0,2));
  }
});
