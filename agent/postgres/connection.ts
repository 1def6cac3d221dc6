import { execFile } from "node:child_process";
import { promisify } from "node:util";
import pg from "pg";
import type { ServerSettings } from "../../common/contracts/agentEnvironment/postgres.ts";
import { Problem } from "../../common/problem.ts";
import { errorCode } from "../runtime/errorMessage.ts";
import { literal } from "./identifiers.ts";

const CONNECT_TIMEOUT_MS = 10_000;
/** Waiting longer for a lock would make every later query of the application queue behind us. */
export const LOCK_TIMEOUT = "60s";
/** Databases that exist in every cluster and can be connected to while another one is renamed. */
const MAINTENANCE_DATABASES = ["postgres", "template1"] as const;

/** A server as far as the backup must know it. */
export interface Server {
  /** `17.6 (Debian 17.6-1)` */
  readonly version: string;
  readonly major: number;
}

/**
 * Opens one connection with bounded waits and no server-side time limit on what it runs.
 * @param database absent: the database of the settings
 * @throws Problem for a wrong password, an unknown database, a host that cannot be reached
 */
export async function connect(
  settings: ServerSettings,
  database: string = settings.database,
): Promise<pg.Client> {
  const client = new pg.Client({
    host: settings.host,
    port: settings.port,
    user: settings.user,
    password: settings.password,
    database,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    application_name: "kamal-postgres-backup",
  });
  // A connection that breaks between two queries reports it here; the next query then fails with its own error.
  client.on("error", () => {});
  try {
    await client.connect();
    await client.query(
      `SET lock_timeout = ${literal(LOCK_TIMEOUT)}; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET row_security = off; SET search_path = pg_catalog`,
    );
    return client;
  } catch (error) {
    await client.end().catch(() => {});
    throw await explainConnect(error, settings, database);
  }
}

/**
 * Ends a connection when the run is stopped, also in the middle of a long query, and throws the reason to stop instead of
 * the error of the cut connection.
 */
export async function endingOnAbort<T>(
  client: pg.Client,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const end = () => void client.end().catch(() => {});
  signal.addEventListener("abort", end, { once: true });
  try {
    signal.throwIfAborted();
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", end);
    await client.end();
  }
}

/**
 * Connects to a database that is not the one to be renamed or made.
 * @throws Problem when none of the databases that every cluster has can be reached
 */
export async function connectMaintenance(
  settings: ServerSettings,
  avoid: string,
): Promise<pg.Client> {
  const candidates = MAINTENANCE_DATABASES.filter((name) => name !== avoid);
  for (const name of candidates) {
    try {
      return await connect(settings, name);
    } catch (error) {
      if (name === candidates.at(-1)) throw error;
    }
  }
  throw new Problem(`no maintenance database besides "${avoid}" is known`);
}

/** Version of the server behind a connection. */
export async function readServer(client: pg.Client): Promise<Server> {
  const { rows } = await client.query<{ version: string; number: number }>(
    "SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number",
  );
  const [row] = rows;
  if (row === undefined) throw new Error("the server did not report its version");
  return { version: row.version, major: Math.floor(row.number / 10_000) };
}

/** Version line of a client program on PATH, e.g. `pg_dump (PostgreSQL) 17.6`, and its major. */
export async function readClientVersion(program: "pg_dump" | "pg_restore") {
  const { stdout } = await promisify(execFile)(program, ["--version"]).catch((error: Error) => {
    throw new Problem(`${program} cannot be started: ${error.message}`);
  });
  const line = stdout.trim();
  const major = /\s(\d+)(?:\.|devel|beta|rc|\s|$)/.exec(line)?.[1];
  if (major === undefined) throw new Problem(`${program} --version printed "${line}", no version`);
  return { line, major: Number(major) };
}

/**
 * pg_dump refuses a newer server; this finds it out before anything starts.
 * @throws Problem that names both versions
 */
export function checkClientVersion(client: { line: string; major: number }, server: Server): void {
  if (client.major >= server.major) return;
  throw new Problem(
    `the server runs PostgreSQL ${server.version}, this image has ${client.line}, which cannot dump a newer server. Use the image built for PostgreSQL ${server.major}.`,
  );
}

/** Environment for libpq programs: the password is nowhere else, neither in an argument nor in a file. */
export function libpqEnvironment(settings: ServerSettings): NodeJS.ProcessEnv {
  return {
    ...process.env,
    PGHOST: settings.host,
    PGPORT: String(settings.port),
    PGUSER: settings.user,
    PGPASSWORD: settings.password,
    PGCONNECT_TIMEOUT: String(CONNECT_TIMEOUT_MS / 1000),
  };
}

/**
 * `dbname='...'`, so that a name with "=" in it is not read as a connection string itself. Quoted as libpq wants it:
 * https://www.postgresql.org/docs/17/libpq-connect.html, "Keyword/Value Connection Strings".
 */
export function connectionString(database: string): string {
  return `dbname='${database.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

async function explainConnect(error: unknown, settings: ServerSettings, database: string) {
  const message = error instanceof Error ? error.message : String(error);
  const where = `${settings.host}:${settings.port}`;
  const code = errorCode(error) ?? "";
  if (code === "28P01" || code === "28000") {
    return new Problem(
      `PostgreSQL at ${where} refused user "${settings.user}": ${message}. Check POSTGRES_USER and POSTGRES_PASSWORD.`,
    );
  }
  if (code === "3D000") {
    const names = await similarDatabases(settings, database);
    const hint = names.length > 0 ? ` Databases there: ${names.join(", ")}.` : "";
    return new Problem(
      `database "${database}" does not exist at ${where}. Check POSTGRES_DATABASE (upper and lower case count).${hint}`,
    );
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") {
    return new Problem(
      `POSTGRES_HOST "${settings.host}" cannot be resolved (${code}). Use the name of the database's container on the same Docker network, e.g. <service>-db.`,
    );
  }
  if (/^E(CONN|HOST|NET|TIMEDOUT)/.test(code) || /timeout expired|terminated/.test(message)) {
    return new Problem(
      `PostgreSQL at ${where} cannot be reached (${code || message}). Check POSTGRES_HOST, POSTGRES_PORT and that the database runs.`,
    );
  }
  if (code.length === 5) {
    return new Problem(
      `PostgreSQL at ${where} refused the connection to "${database}": ${message} (${code}).`,
    );
  }
  return error;
}

/** Up to five names that look like the wanted one first; empty when even that cannot be asked. */
async function similarDatabases(settings: ServerSettings, wanted: string): Promise<string[]> {
  if ((MAINTENANCE_DATABASES as readonly string[]).includes(wanted)) return [];
  try {
    const client = await connectMaintenance(settings, wanted);
    try {
      const { rows } = await client.query<{ datname: string }>(
        `SELECT datname FROM pg_database WHERE NOT datistemplate
         ORDER BY lower(datname) = lower($1) DESC, starts_with(lower(datname), lower($1)) DESC,
                  starts_with(lower($1), lower(datname)) DESC, left(lower(datname), 3) = left(lower($1), 3) DESC, datname
         LIMIT 5`,
        [wanted],
      );
      return rows.map((row) => `"${row.datname}"`);
    } finally {
      await client.end();
    }
  } catch {
    // The hint is a courtesy: the reader gets the cause of the failure with or without it.
    return [];
  }
}
