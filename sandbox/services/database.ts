import pg from "pg";
import { Problem } from "../../common/problem.ts";
import { containerState, docker } from "../host/docker.ts";
import { eventually } from "../world/run.ts";
import type { Settings } from "../world/settings.ts";
import type { World } from "../world/world.ts";
import { kamal } from "./kamal.ts";

/** The application's PostgreSQL 17, booted by Kamal itself as the accessory `db`, and checked by us. */
export async function ensureDatabase(
  settings: Settings,
  world: Pick<World, "kamal" | "app">,
): Promise<World["database"]> {
  const database = describeDatabase(settings);
  const state = await containerState(database.container);
  if (state?.status !== "running") {
    // Kamal skips a container that exists in any state and calls that success, so a stopped one is booted anew.
    const verb = state === undefined ? "boot" : "reboot";
    const result = await kamal(world, ["accessory", verb, "db"]);
    const after = await containerState(database.container);
    if (result.code !== 0 || after?.status !== "running") {
      const log = await docker(["logs", "--tail", "5", database.container], { allowFailure: true });
      throw new Problem(
        `'kamal accessory ${verb} db' left no running container ${database.container}: ${lastLines(result.stdout + result.stderr)} ${log.stderr.trim()}`,
      );
    }
  }
  await eventually("PostgreSQL", 30_000, async () => {
    await query(database, "postgres", "select 1");
    return true;
  });
  return database;
}

export function describeDatabase(settings: Settings): World["database"] {
  return {
    container: `${settings.service}-db`,
    host: "127.0.0.1",
    port: settings.databasePort,
    user: "app",
    password: settings.databasePassword,
    name: "app_production",
    sibling: "app_production_queue",
  };
}

/** One statement over the published port, with the password that the application uses. */
export async function query(
  database: Pick<World["database"], "host" | "port" | "user" | "password">,
  name: string,
  sql: string,
): Promise<Record<string, unknown>[]> {
  const { host, port, user, password } = database;
  const client = new pg.Client({
    host,
    port,
    user,
    password,
    database: name,
    connectionTimeoutMillis: 5_000,
  });
  // A server that restarts cuts idle connections; the pending query reports it.
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

function lastLines(text: string): string {
  return text.trim().split("\n").slice(-4).join(" | ");
}
