/** What people do in the stories: look, break things, and type commands. */
import { join } from "node:path";
import {
  GetBucketLifecycleConfigurationCommand,
  PutBucketLifecycleConfigurationCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import pg from "pg";
import { type BackupOutputs, findBackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { docker } from "../host/docker.ts";
import { checkout } from "../world/paths.ts";
import { type RunResult, run } from "../world/run.ts";
import type { World } from "../world/world.ts";
import type { SandboxStack } from "./engine.ts";

/** Runs statements as the database's own user. */
export async function query<Row extends pg.QueryResultRow>(
  world: World,
  sql: string,
  database: string = world.database.name,
): Promise<Row[]> {
  const { host, port, user, password } = world.database;
  const client = new pg.Client({
    host,
    port,
    user,
    password,
    database,
    connectionTimeoutMillis: 10_000,
  });
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

export async function countRows(world: World, table: string): Promise<number> {
  const rows = await query<{ n: string }>(world, `select count(*) as n from ${table}`);
  return Number(rows[0]?.n);
}

/** Names of the databases that restores put aside, oldest first. */
export async function keptDatabases(world: World): Promise<string[]> {
  const rows = await query<{ datname: string }>(
    world,
    `select datname from pg_database where datname like '${world.database.name}\\_before\\_%' order by 1`,
  );
  return rows.map((row) => row.datname);
}

/** The administrator's view of the S3 service. */
export function administrator(world: World): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey } = world.store;
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
}

/** Someone clicks another number of days into the bucket's expiry rule. */
export async function changeExpiry(world: World, bucket: string, days: number): Promise<void> {
  const s3 = administrator(world);
  const { Rules = [] } = await s3.send(
    new GetBucketLifecycleConfigurationCommand({ Bucket: bucket }),
  );
  const changed = Rules.map((rule) =>
    rule.ID === "expire" ? { ...rule, Expiration: { Days: days } } : rule,
  );
  await s3.send(
    new PutBucketLifecycleConfigurationCommand({
      Bucket: bucket,
      LifecycleConfiguration: { Rules: changed },
    }),
  );
}

export async function stopContainer(name: string): Promise<void> {
  await docker(["stop", "--time", "5", name]);
}

/** What the stack published about its one backup. */
export async function outputsOf(stack: SandboxStack): Promise<BackupOutputs> {
  const outputs = await stack.stack.outputs();
  const plain = Object.fromEntries(
    Object.entries(outputs).map(([name, output]) => [name, output.value]),
  );
  return findBackupOutputs(plain)[0] as BackupOutputs;
}

/**
 * Types `npx kamal-postgres-backup ARGS` in the stack's folder.
 * @param env beside that of the stack; `undefined` removes a variable
 */
export function runCli(
  stack: SandboxStack,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<RunResult> {
  const words = [
    join(checkout, "cli", "main.ts"),
    ...args,
    "--stack",
    stack.stack.name,
    "--cwd",
    stack.dir,
  ];
  return run(process.execPath, words, {
    env: { ...stack.env, ...env },
    allowFailure: true,
    timeoutMs: 300_000,
  });
}

/** What `git diff` says about the application's deploy.yml. */
export async function renderedDiff(world: World): Promise<string> {
  return (await run("git", ["diff", "--", world.app.config], { cwd: world.app.dir })).stdout;
}
