import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import { Problem } from "../../common/problem.ts";
import { listDatabases } from "../../storage/catalogue/catalogue.ts";
import type { AgentContext } from "../runtime/context.ts";
import { errorMessage } from "../runtime/errorMessage.ts";
import { AnotherBackupRuns } from "./advisoryLock.ts";
import { connectMaintenance } from "./connection.ts";

/** Databases that a restore has left beside the one it replaced; they are not backed up with the others. */
const LEFT_BY_RESTORE = String.raw`_(restore|before|undone)_\d{8}T\d{6}$`;

/** The same context for one database. */
export function forDatabase(context: AgentContext, database: string): AgentContext {
  const { settings } = context;
  return { ...context, settings: { ...settings, postgres: { ...settings.postgres, database } } };
}

/**
 * The databases of a backup: those named, or every one of the server that can be connected to, except templates,
 * `postgres`, the excluded ones, and what a restore left behind.
 * @param only the one of them to take
 * @throws Problem when there is none, or `only` is not among them
 */
export async function selectDatabases(settings: AgentSettings, only?: string): Promise<string[]> {
  const names = settings.databases === "all" ? await listServer(settings) : [...settings.databases];
  if (only === undefined) return names;
  if (names.includes(only)) return [only];
  throw new Problem(`--database ${only}: this container backs up ${quoted(names)}.`);
}

async function listServer({ postgres, excludedDatabases }: AgentSettings): Promise<string[]> {
  const client = await connectMaintenance(postgres, "");
  try {
    const { rows } = await client.query<{ datname: string }>(
      `SELECT datname FROM pg_database
       WHERE datallowconn AND NOT datistemplate AND datname <> 'postgres' AND datconnlimit <> ${INVALID}
         AND datname <> ALL ($1::text[]) AND datname !~ $2
       ORDER BY datname`,
      [excludedDatabases, LEFT_BY_RESTORE],
    );
    if (rows.length > 0) return rows.map(({ datname }) => datname);
    throw new Problem(
      `the server at ${postgres.host}:${postgres.port} has no database to back up besides templates, "postgres" and those of POSTGRES_EXCLUDE_DATABASES.`,
    );
  } finally {
    await client.end();
  }
}

/** What an interrupted DROP DATABASE leaves: DATCONNLIMIT_INVALID_DB of PostgreSQL's pg_database.h. */
const INVALID = -2;

/**
 * Says once for a run of every database which of the server's are not among them, and why. Those that somebody excluded,
 * what a restore has left, and the server's own templates go without saying; `postgres` where there is nothing in it.
 */
export async function announceLeftOut({ settings, report }: AgentContext): Promise<void> {
  if (settings.databases !== "all") return;
  const client = await connectMaintenance(settings.postgres, "");
  try {
    const { rows } = await client.query<{ name: string; reason: string }>(
      `SELECT datname AS name,
              CASE WHEN datconnlimit = ${INVALID} THEN 'invalid, since a DROP DATABASE was interrupted; drop it again'
                   WHEN NOT datallowconn THEN 'takes no connections' WHEN datistemplate THEN 'a template'
                   ELSE 'the maintenance database, which holds tables; name it in POSTGRES_DATABASE' END AS reason
       FROM pg_database
       WHERE (NOT datallowconn OR datistemplate OR datconnlimit = ${INVALID}
              OR datname = 'postgres' AND current_database() = 'postgres' AND EXISTS (
                SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND NOT EXISTS (
                  SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')))
         AND datname NOT IN ('template0', 'template1')
         AND datname <> ALL ($1::text[]) AND datname !~ $2
       ORDER BY 1`,
      [settings.excludedDatabases, LEFT_BY_RESTORE],
    );
    if (rows.length === 0) return;
    const list = rows.map(({ name, reason }) => `"${name}" (${reason})`).join(", ");
    report.warn(`POSTGRES_BACKUP_ALL: not backed up: ${list}.`);
  } finally {
    await client.end();
  }
}

/**
 * Prints which databases the container backs up.
 * @param withStored also those that have a backup in the bucket, of which some may be gone from the server
 */
export async function printDatabases(
  { settings, store, report }: AgentContext,
  withStored: boolean,
): Promise<void> {
  const databases = await selectDatabases(settings);
  const stored = withStored ? await listDatabases(store) : null;
  report.event({ event: "databases", databases, stored });
  for (const name of databases) report.line(name);
  for (const name of stored ?? []) {
    if (!databases.includes(name)) report.line(`${name}  (in the bucket alone)`);
  }
}

/**
 * The one database that a command is about. With every database backed up any name is taken: the wanted one may be gone
 * from the server, and only in the bucket.
 * @throws Problem when it is not clear which, or the container does not back it up
 */
export function chooseDatabase({ databases }: AgentSettings, wanted?: string): string {
  if (databases === "all") {
    if (wanted !== undefined) return wanted;
    throw new Problem(
      "this container backs up every database of the server. Choose one: --database NAME.",
    );
  }
  const [only, second] = databases;
  if (wanted === undefined && only !== undefined && second === undefined) return only;
  if (wanted !== undefined && databases.includes(wanted)) return wanted;
  throw new Problem(
    wanted === undefined
      ? `this container backs up several databases: ${quoted(databases)}. Choose one: --database NAME.`
      : `--database ${wanted}: this container backs up ${quoted(databases)}.`,
  );
}

/**
 * Does the same for each database, one after the other. One that fails does not stop the others.
 * @throws the failure of the only one; of several a Problem with a sentence for each that failed
 */
export async function forEachDatabase(
  context: AgentContext,
  names: readonly string[],
  work: (context: AgentContext) => Promise<unknown>,
): Promise<void> {
  const failures: string[] = [];
  const causes: unknown[] = [];
  for (const name of names) {
    try {
      await work(forDatabase(context, name));
    } catch (error) {
      // Stopped from outside: the others are not to be begun.
      if (names.length === 1 || context.signal.aborted) throw error;
      failures.push(`"${name}": ${errorMessage(error)}`);
      causes.push(error);
    }
  }
  if (failures.length === 0) return;
  // Another run is making all that are missing: its result is the result.
  if (causes.every((cause) => cause instanceof AnotherBackupRuns)) throw causes[0];
  throw new Problem(
    `${failures.length} of ${names.length} databases failed. ${failures.join(" ")}`,
  );
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}
