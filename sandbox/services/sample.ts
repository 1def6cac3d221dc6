import { readFileSync } from "node:fs";
import { join } from "node:path";
import { docker } from "../host/docker.ts";
import { type Settings, saveSettings } from "../world/settings.ts";
import type { World } from "../world/world.ts";
import { query } from "./database.ts";

/** pgbench's unit: 100,000 accounts each. */
const scale = 1;

/**
 * Fills the cluster once. What was filled is remembered by the cluster's own identity, so that tables which a test
 * drops or restores stay as the test left them.
 */
export async function ensureSample(
  settings: Settings,
  database: World["database"],
): Promise<"made" | "there"> {
  const cluster = await clusterIdentity(database);
  if (settings.sampledCluster === cluster) return "there";

  // What an interrupted run left is dropped: both databases first, then the role, which may own things in them.
  for (const name of [database.name, database.sibling]) {
    await query(database, "postgres", `drop database if exists ${name} with (force)`);
    await query(database, "postgres", `create database ${name}`);
  }
  await query(database, "postgres", "drop role if exists shop_reporting");

  const inside = ["exec", "--interactive", database.container];
  await docker([
    ...inside,
    ...["pgbench", "--initialize", `--scale=${scale}`, "--quiet"],
    ...[`--username=${database.user}`, database.name],
  ]);
  for (const [name, file] of [
    [database.name, "sample.sql"],
    [database.sibling, "sample-queue.sql"],
  ] as const) {
    const psql = ["psql", "--no-psqlrc", "--quiet", "--single-transaction", "--output=/dev/null"];
    const target = ["--set=ON_ERROR_STOP=1", `--username=${database.user}`, `--dbname=${name}`];
    await docker([...inside, ...psql, ...target], {
      input: readFileSync(join(import.meta.dirname, file), "utf8"),
    });
  }
  settings.sampledCluster = cluster;
  saveSettings(settings);
  return "made";
}

async function clusterIdentity(database: World["database"]): Promise<string> {
  const sql = "select system_identifier::text as id from pg_control_system()";
  const [row] = await query(database, "postgres", sql);
  return String(row?.["id"]);
}
