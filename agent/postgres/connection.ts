import { execFile } from "node:child_process";
import { promisify } from "node:util";
import pg from "pg";
import type { ServerSettings } from "../../common/contracts/agentEnvironment/postgres.ts";
import { Problem } from "../../common/problem.ts";
import { errorCode } from "../runtime/errorMessage.ts";
import { AnswerWatch, type Sign } from "./answerWatch.ts";
import { brokenConnection, type Cut, isGone, withAdvice } from "./brokenConnection.ts";
import {
  explainConnect,
  isRefusedByHba,
  isTlsFailure,
  offersNoTls,
  serverName,
} from "./connectErrors.ts";
import { requireOwnBackend } from "./pooler.ts";
import {
  BACKEND_SQL,
  LIBPQ_KEEPALIVE,
  learn,
  NODE_KEEPALIVE_MS,
  ownSettings,
  programOptions,
  setStatements,
  startupOptions,
} from "./session.ts";
import {
  type TlsAttempt,
  type TlsSettings,
  tlsAttempts,
  tlsEnvironment,
  tlsSettings,
} from "./tls.ts";

export { LOCK_TIMEOUT } from "./session.ts";

const CONNECT_TIMEOUT_MS = 10_000;
/** A goodbye that takes longer is not waited for: a frozen server would never say it. */
const GOODBYE_MS = 2_000;
/** The first answer of a new connection, which a pooler may make wait for a free one of the server. */
const FIRST_ANSWER_MS = 8_000;
/** How long a look at a server that may be frozen waits for it. */
const LOOK_MS = 3_000;
/** Servers that were given up: whatever is asked of them next does not wait as long again. */
const silent = new Set<string>();
/** Databases that exist in every cluster and can be connected to while another one is renamed. */
const MAINTENANCE_DATABASES = ["postgres", "template1"] as const;

/** A server as far as the backup must know it. */
export interface Server {
  /** `17.6 (Debian 17.6-1)` */
  readonly version: string;
  readonly major: number;
}

/**
 * Opens one connection with bounded waits, without a time limit of the server on what it runs, on which the server notices within
 * two minutes that this host is gone.
 * @param database absent: the database of the settings
 * @throws Problem for a wrong password, an unknown database, a host that cannot be reached, a pooler that shares its connections
 */
export async function connect(
  settings: ServerSettings,
  database: string = settings.database,
): Promise<pg.Client> {
  const tls = tlsSettings(settings);
  try {
    return await openSession(settings, database, tls);
  } catch (error) {
    if (errorCode(error) === "3D000") throw await unknownDatabase(settings, database);
    throw explainConnect(error, settings, { database, tls });
  }
}

async function openSession(
  settings: ServerSettings,
  database: string,
  tls: TlsSettings,
): Promise<pg.Client> {
  const opened = await dialWithOptions(settings, database, tls);
  const { client } = opened;
  try {
    const { rows } = await within(FIRST_ANSWER_MS, serverName(settings), () =>
      client.query<{ pid: number; encoding: string; limits: string[] }>(BACKEND_SQL),
    );
    const [backend] = rows;
    if (backend === undefined) throw new Error("the server did not say who it is");
    const direct = backend.pid === client.processID;
    if (!direct) {
      await requireOwnBackend(client, backend.pid, serverName(settings), async () => {
        return (await dial(settings, database, tls, undefined)).client;
      });
    }
    const takesOptions = direct && opened.options !== undefined;
    learn(settings, { limits: backend.limits, takesOptions });
    // Names in such a database are bytes of any encoding, which the server could not give as UTF-8.
    const encoding = backend.encoding === "SQL_ASCII" ? { client_encoding: "SQL_ASCII" } : {};
    const all = { ...ownSettings(backend.limits), ...encoding };
    const told = takesOptions ? opened.options : undefined;
    const left = Object.entries(all).filter(
      ([name, value]) => told?.split(" ").includes(`${name}=${value}`) !== true,
    );
    if (left.length > 0) await client.query(setStatements(Object.fromEntries(left)));
    client.look = () => lookAt(settings, database, tls, backend.pid);
    client.watch = new AnswerWatch(serverName(settings), {
      ask: () => lookAt(settings, database, tls, backend.pid),
      give: (why) => client.giveUp(why),
    });
    return client;
  } catch (error) {
    await client.end();
    throw error;
  }
}

interface Opened {
  readonly client: Backend;
  /** Settings that the server was given at the start; absent: none. */
  readonly options: string | undefined;
}

type Backend = pg.Client & {
  /** The process id that the server told at the start, which the types leave out. */
  readonly processID: number | null;
  /** Watches over what the connection waits for. */
  watch?: AnswerWatch;
  /** Why it was cut; undefined while it was not. */
  loss?: () => Problem | undefined;
  /** Asks from another connection whether the server answers at all. */
  look?: () => Promise<unknown>;
  /** Closes it at once, whatever is under way; that fails for this reason. */
  giveUp(why: Problem): void;
};

/** Whether a process of the server still works for us. A refusal with a code of PostgreSQL is a sign of life, too. */
async function lookAt(
  settings: ServerSettings,
  database: string,
  tls: TlsSettings,
  pid: number,
): Promise<Sign> {
  let look: Backend | undefined;
  let over = false;
  const closing = () => {
    over = true;
    if (look !== undefined) destroy(look);
  };
  try {
    return await within(LOOK_MS, serverName(settings), async () => {
      look = (await dial(settings, database, tls, undefined, LOOK_MS)).client;
      if (over) closing();
      const { rows } = await look.query<{ state: string | null }>(
        "SELECT state FROM pg_catalog.pg_stat_activity WHERE pid = $1",
        [pid],
      );
      return rows.length === 0 || rows[0]?.state?.startsWith("idle") ? "done" : "working";
    });
  } catch (error) {
    if (/^[0-9A-Z]{5}$/.test(errorCode(error) ?? "")) return "working";
    throw error;
  } finally {
    closing();
  }
}

/** Why and when a connection was cut, also when nothing was asked of it since; undefined: it was not. */
export function lossOf(client: pg.Client): Problem | undefined {
  return (client as Backend).loss?.();
}

/**
 * Asks a server that may be frozen whether it answers at all, before something is begun that would wait for it.
 * @throws Problem when it does not within some seconds
 */
export async function requireAnswer(settings: ServerSettings, client: pg.Client): Promise<void> {
  await within(LOOK_MS, serverName(settings), () => client.query("SELECT 1"));
}

/**
 * Watches a server while a program of libpq works with it, which waits for a frozen one for ever.
 * @returns a signal, aborted with a Problem as its reason when the server has not answered for too long; `stop` ends the watch
 */
export function watchServer(settings: ServerSettings): {
  readonly signal: AbortSignal;
  stop(): void;
} {
  const controller = new AbortController();
  const tls = tlsSettings(settings);
  const { database } = settings;
  const watch = new AnswerWatch(serverName(settings), {
    ask: async () => {
      await lookAt(settings, database, tls, 0);
      return "working";
    },
    give: (why) => controller.abort(why),
  });
  watch.begin();
  return { signal: controller.signal, stop: () => watch.end() };
}

async function within<T>(limitMs: number, where: string, work: () => Promise<T>): Promise<T> {
  const working = work();
  working.catch(() => {});
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      silent.add(where);
      reject(new Problem(`PostgreSQL at ${where} does not answer (${limitMs / 1000} s).`));
    }, limitMs);
  });
  return Promise.race([working, late]).finally(() => clearTimeout(timer));
}

/** Gives the settings at the start; a pooler may refuse that, which is 08P01, and gets none. */
async function dialWithOptions(
  settings: ServerSettings,
  database: string,
  tls: TlsSettings,
): Promise<Opened> {
  const options = startupOptions(settings);
  if (options === undefined) return dial(settings, database, tls, undefined);
  try {
    return await dial(settings, database, tls, options);
  } catch (error) {
    if (errorCode(error) !== "08P01") throw error;
    return dial(settings, database, tls, undefined);
  }
}

/** Tries with and without TLS in libpq's order. */
async function dial(
  settings: ServerSettings,
  database: string,
  tls: TlsSettings,
  options: string | undefined,
  timeoutMs = CONNECT_TIMEOUT_MS,
): Promise<Opened> {
  let first: unknown;
  for (const ssl of tlsAttempts(tls, settings)) {
    try {
      return { client: await open(settings, { database, ssl, options, timeoutMs }), options };
    } catch (error) {
      // A certificate that is not right is the cause to tell, not that the server wants encryption.
      if (first !== undefined) throw offersNoTls(first) ? error : first;
      if (!isTlsFailure(error) && !isRefusedByHba(error)) throw error;
      first = error;
    }
  }
  throw first;
}

async function open(
  settings: ServerSettings,
  {
    database,
    ssl,
    options,
    timeoutMs,
  }: {
    readonly database: string;
    readonly ssl: TlsAttempt;
    readonly options: string | undefined;
    readonly timeoutMs: number;
  },
): Promise<Backend> {
  const client = new pg.Client({
    host: plainHost(settings),
    port: settings.port,
    user: settings.user,
    password: settings.password,
    database,
    ssl,
    ...(options !== undefined && { options }),
    connectionTimeoutMillis: timeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: NODE_KEEPALIVE_MS,
    application_name: "kamal-postgres-backup",
  }) as Backend;
  const bounded = boundWaits(client, serverName(settings));
  try {
    await client.connect();
    return bounded;
  } catch (error) {
    await client.end();
    throw error;
  }
}

/**
 * Makes a failure by a cut connection say when and by what it was cut, and a goodbye end in any case: a server that is frozen, or
 * a network that drops everything, never answers it.
 */
function boundWaits(client: Backend, where: string): Backend {
  const opened = performance.now();
  let cut: Cut | undefined;
  const noteCut = (error: unknown) => {
    cut ??= {
      at: new Date(),
      openSeconds: Math.round((performance.now() - opened) / 1000),
      error,
    };
    return cut;
  };
  // A connection that breaks between two queries reports it here; the next query then fails by it.
  client.on("error", noteCut);
  const query = client.query.bind(client) as (...words: unknown[]) => Promise<unknown>;
  client.query = (async (...words: unknown[]) => {
    const { watch } = client;
    if (silent.has(where)) await requireLife(client, where);
    watch?.begin();
    try {
      const answer = await query(...words);
      silent.delete(where);
      return answer;
    } catch (error) {
      if (isGone(error)) throw brokenConnection(where, noteCut(error), error);
      throw withAdvice(error);
    } finally {
      watch?.end();
    }
  }) as typeof client.query;
  client.loss = () => cut && brokenConnection(where, cut, cut.error);
  client.giveUp = (why) => {
    silent.add(where);
    noteCut(why);
    destroy(client);
  };
  const end = client.end.bind(client) as () => Promise<void>;
  client.end = (async () => {
    const deadline = setTimeout(() => destroy(client), silent.has(where) ? 0 : GOODBYE_MS);
    await end().catch(() => {});
    clearTimeout(deadline);
  }) as typeof client.end;
  return client;
}

/** @throws Problem when a server that was given up is still silent */
async function requireLife(client: Backend, where: string): Promise<void> {
  try {
    await client.look?.();
  } catch (error) {
    throw new Problem(`PostgreSQL at ${where} does not answer any more.`, { cause: error });
  }
}

/** Closes the socket at once, whatever is under way. */
function destroy(client: pg.Client): void {
  const { connection } = client as unknown as {
    readonly connection: { readonly stream: { destroy(): void } };
  };
  connection.stream.destroy();
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

/**
 * Environment for libpq programs: the same TLS, time limits and keepalive as our own connection has. The password is nowhere else,
 * neither in an argument nor in a file.
 */
export function libpqEnvironment(settings: ServerSettings): NodeJS.ProcessEnv {
  const options = programOptions(settings);
  return {
    ...process.env,
    PGHOST: plainHost(settings),
    PGPORT: String(settings.port),
    PGUSER: settings.user,
    PGPASSWORD: settings.password,
    PGCONNECT_TIMEOUT: String(CONNECT_TIMEOUT_MS / 1000),
    ...tlsEnvironment(tlsSettings(settings)),
    ...(options !== undefined && { PGOPTIONS: options }),
  };
}

/**
 * `dbname='...'`, so that a name with "=" in it is not read as a connection string itself; with the keepalive of this side, for which
 * libpq has no variables. Quoted as libpq wants it: https://www.postgresql.org/docs/17/libpq-connect.html, "Keyword/Value Connection
 * Strings".
 */
export function connectionString(database: string): string {
  const quoted = database.replaceAll("\\", "\\\\").replaceAll("'", "\\'");
  return `dbname='${quoted}' ${LIBPQ_KEEPALIVE}`;
}

/** An IPv6 address may stand in brackets, as in an address with a port; no resolver knows it so. */
function plainHost({ host }: ServerSettings): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}

async function unknownDatabase(settings: ServerSettings, database: string): Promise<Problem> {
  const names = await similarDatabases(settings, database);
  const hint = names.length > 0 ? ` Databases there: ${names.join(", ")}.` : "";
  const comma = names.some((name) => name.includes(","))
    ? " A comma separates names in POSTGRES_DATABASE, so a name that has one cannot stand there: POSTGRES_BACKUP_ALL=true takes it."
    : "";
  return new Problem(
    `database "${database}" does not exist at ${serverName(settings)}. Check POSTGRES_DATABASE (upper and lower case count).${hint}${comma}`,
  );
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
