import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type pg from "pg";
import type { ServerSettings } from "../../common/contracts/agentEnvironment/postgres.ts";
import { Problem } from "../../common/problem.ts";
import { WITHOUT_OWNERS } from "../backup/pgDump.ts";
import { connect, connectionString, libpqEnvironment } from "../postgres/connection.ts";
import { identifier } from "../postgres/identifiers.ts";
import type { AgentContext } from "../runtime/context.ts";
import { type ExitResult, runProgram } from "../streams/process.ts";
import { UNTRANSLATED } from "../streams/toolWarnings.ts";
import { RECOVERY } from "./fetch.ts";
import { recoveredServer } from "./recoveredServer.ts";

export interface TableRequest {
  /** `orders`, or with its schema, `app.orders`. */
  readonly table: string;
  /** Name that it gets, in the same schema @default its own, where the live database has none of it */
  readonly into?: string;
  /** Everything belongs to the agent's role; grants are left out. @default false */
  readonly noOwner?: boolean;
}

/**
 * Brings one table from a recovered server into the live database, in one transaction, and never over one that is there. Under its
 * own name it comes with indexes, constraints and triggers; under another one with its columns and rows alone, since the names of
 * the others are taken.
 * @param folder of the recovery
 * @throws Problem; then the live database is as it was
 */
export async function bringTable(
  { settings, report, signal }: AgentContext,
  folder: string,
  { table, into, noOwner = false }: TableRequest,
): Promise<void> {
  const started = performance.now();
  const live = settings.postgres;
  const recovered = recoveredServer(live, folder);
  const [schema, name] = partsOf(table);
  const target = into ?? name;
  const rows = await copyBeside(recovered, { schema, name, table, target });
  await requireFree(live, schema, target, into === undefined);
  await mkdir(join(folder, RECOVERY.dump), { recursive: true });
  const file = join(folder, RECOVERY.dump, "table");
  const owners = noOwner ? WITHOUT_OWNERS : [];
  try {
    const from = [`--file=${file}`, "--format=custom", "--strict-names", ...owners];
    const pattern = `--table=${identifier(schema)}.${identifier(target)}`;
    await run('exec pg_dump "$@"', [...from, pattern], recovered, signal, dumpProblem);
    const to = ["--single-transaction", "--exit-on-error", ...owners];
    await run('exec pg_restore "$@"', [...to, file], live, signal, loadProblem);
  } finally {
    await rm(file, { force: true });
  }
  const found = await countRows(live, schema, target);
  if (found !== rows) {
    throw new Problem(
      `${schema}.${target} is in "${live.database}" now, with ${found} rows instead of ${rows}: something there adds or removes rows, such as a trigger.`,
    );
  }
  const elapsedMs = Math.round(performance.now() - started);
  report.event({ event: "table", database: live.database, schema, table: target, rows, elapsedMs });
  report.line(`Brought ${schema}.${target} into "${live.database}": ${rows} rows.`);
}

function partsOf(table: string): [schema: string, name: string] {
  const [first = "", second, more] = table.split(".");
  if (first === "" || second === "" || more !== undefined) {
    throw new Problem(
      `--table ${table} is no table's name. Give it with its schema: public.orders.`,
    );
  }
  return second === undefined ? ["public", first] : [first, second];
}

/** @returns the number of its rows. Where it gets another name, it lies beside on the recovered server, which nobody else has */
async function copyBeside(
  recovered: ServerSettings,
  { schema, name, table, target }: { schema: string; name: string; table: string; target: string },
): Promise<number> {
  return withClient(recovered, async (client) => {
    const { rows } = await client.query<{ name: string }>(
      "SELECT tablename AS name FROM pg_tables WHERE schemaname = $1 ORDER BY 1",
      [schema],
    );
    const names = rows.map((row) => row.name);
    if (!names.includes(name)) {
      const there = names.length === 0 ? "no table" : names.slice(0, 12).join(", ");
      throw new Problem(
        `--table ${table}: the database had no such table at that moment. In the schema ${schema} it had ${there}.`,
      );
    }
    if (target !== name) {
      await client.query(
        `CREATE TABLE ${identifier(schema)}.${identifier(target)} AS TABLE ${identifier(schema)}.${identifier(name)}`,
      );
    }
    return rowsOf(client, schema, target);
  });
}

async function requireFree(
  live: ServerSettings,
  schema: string,
  target: string,
  isOwn: boolean,
): Promise<void> {
  const isTaken = await withClient(live, async (client) => {
    const { rows } = await client.query<{ taken: boolean }>(
      "SELECT to_regclass($1) IS NOT NULL AS taken",
      [`${identifier(schema)}.${identifier(target)}`],
    );
    return rows[0]?.taken === true;
  });
  if (!isTaken) return;
  throw new Problem(
    isOwn
      ? `"${live.database}" has a table ${schema}.${target}, and a recovery never replaces one. Give it another name there: --into ${target}_recovered.`
      : `--into ${target}: "${live.database}" has something of this name in the schema ${schema}. Give another one.`,
  );
}

async function run(
  program: string,
  words: readonly string[],
  server: ServerSettings,
  signal: AbortSignal,
  problemOf: (ending: ExitResult) => Problem,
): Promise<void> {
  signal.throwIfAborted();
  const running = runProgram(program, {
    args: [...words, "--no-password", `--dbname=${connectionString(server.database)}`],
    env: { ...libpqEnvironment(server), ...UNTRANSLATED },
    stdin: "ignore",
  });
  const stop = () => running.kill();
  signal.addEventListener("abort", stop, { once: true });
  const ending = await running.ended;
  signal.removeEventListener("abort", stop);
  signal.throwIfAborted();
  if (ending.code !== 0) throw problemOf(ending);
}

function dumpProblem({ stderr }: ExitResult): Problem {
  return new Problem(`the recovered table could not be dumped: ${firstError(stderr)}`);
}

function loadProblem({ stderr }: ExitResult): Problem {
  return new Problem(
    `the table could not be brought into the live database, which is as it was: ${firstError(stderr)}. Recover the whole database beside it instead: --into NAME without --table.`,
  );
}

function firstError(stderr: string): string {
  const lines = stderr.split("\n");
  const error = lines.find((line) => line.includes("ERROR:")) ?? lines.at(-1) ?? "";
  return error.replace(/^.*?error: /, "").trim();
}

function countRows(server: ServerSettings, schema: string, table: string): Promise<number> {
  return withClient(server, (client) => rowsOf(client, schema, table));
}

async function rowsOf(client: pg.Client, schema: string, table: string): Promise<number> {
  const { rows } = await client.query<{ count: string }>(
    `SELECT count(*) FROM ${identifier(schema)}.${identifier(table)}`,
  );
  return Number(rows[0]?.count);
}

async function withClient<T>(
  server: ServerSettings,
  use: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = await connect(server);
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
