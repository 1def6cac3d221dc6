import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import {
  findServerPrograms,
  startPostgres,
  type TestPostgres,
} from "../../support/servers/postgres.ts";
import { agent, unavailable, World } from "../world.ts";
import { applicationsOf } from "./databases.ts";
import {
  type Place,
  type Role,
  restoreAsApplication,
  restoreElsewhere,
  restoreWhole,
} from "./matrix.ts";
import { localTool, Side } from "./side.ts";

/**
 * `MATRIX=whole`: every database goes everywhere. Else each goes to a server that it does not know; the first, and those that
 * have properties of their own, also take the place of the live one; one of each application is restored as a role that is no
 * superuser, too.
 */
const WHOLE = process.env["MATRIX"] === "whole";

const { major = 15 } = (await findServerPrograms()) ?? {};
const applications = applicationsOf(major);

describe("a database that holds everything, backed up and restored", { skip: unavailable }, () => {
  let world: World;
  let others: TestPostgres[] = [];
  let here: Place;
  let fresh: Place;
  let foreign: Place;
  let env: Record<string, string> = {};

  const placeOf = (server: TestPostgres): Place => ({
    side: new Side(server.major, localTool(server)),
    user: server.user,
    agent: (database, args, role: Role = server) =>
      agent(
        {
          ...env,
          ...{ POSTGRES_PORT: String(server.port), POSTGRES_DATABASE: database },
          ...{ POSTGRES_USER: role.user, POSTGRES_PASSWORD: role.password },
        },
        ...args,
      ),
  });

  before(async () => {
    [world, ...others] = await Promise.all([
      World.start(),
      startPostgres({ name: "fresh" }),
      startPostgres({ user: "ops", name: "fresh" }),
    ]);
    [here, fresh, foreign] = [world.postgres, ...others].map(placeOf) as [Place, Place, Place];
    await here.side.sql(
      "postgres",
      readFileSync(join(import.meta.dirname, "sql/roles.sql"), "utf8"),
    );
    for (const database of applications.flat()) await here.side.create(database);
    const names = applications.flat().map(({ name }) => name);
    env = await world.environment(names.join(","));
    const backup = await here.agent(names.join(","), ["backup", "--json"]);
    assert.equal(backup.code, 0, backup.stdout.slice(-500) + backup.stderr);
  });
  after(() => Promise.all([world, ...others].map((each) => each?.stop())));

  for (const [index, databases] of applications.entries()) {
    it(databases.map(({ name }) => name).join(", "), async () => {
      const wrong: string[] = [];
      for (const database of databases) {
        const original = await here.side.picture(database.name);
        const asApplication = WHOLE || database === databases[0];
        wrong.push(
          ...(WHOLE || database === applications[0]?.[0] || database.properties !== undefined
            ? await restoreWhole(here, database, original)
            : []),
          ...(WHOLE || index % 2 === 0
            ? await restoreWhole(fresh, database, original, "--globals")
            : []),
          ...(WHOLE || index % 2 === 1 ? await restoreElsewhere(foreign, database, original) : []),
          ...(asApplication ? await restoreAsApplication(here, database, original) : []),
        );
      }
      assert.deepEqual(wrong, []);
    });
  }
});
