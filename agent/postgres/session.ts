import type { ServerSettings } from "../../common/contracts/agentEnvironment/postgres.ts";
import { literal } from "./identifiers.ts";

/** Waiting longer for a lock would make every later query of the application queue behind us. */
export const LOCK_TIMEOUT = "60s";

/**
 * Keepalive that the server is asked for, so that it notices within two minutes that the host behind a connection is gone: its
 * own default is more than two hours, and all that time lock and snapshot stay. `tcp_user_timeout` is for a connection that is
 * in the middle of sending, where Linux sends no keepalive (net/ipv4/tcp_timer.c, `tcp_keepalive_timer`). It also ends a
 * connection whose reader takes nothing for that long (the same file, `tcp_probe_timer`), so it must not be much shorter: an
 * upload that waits for its service makes pg_dump wait.
 */
const KEEPALIVE = {
  tcp_keepalives_idle: "30",
  tcp_keepalives_interval: "10",
  tcp_keepalives_count: "3",
  tcp_user_timeout: "90000",
} as const;

/** The same, asked of this side, in libpq's words. */
export const LIBPQ_KEEPALIVE =
  "keepalives=1 keepalives_idle=30 keepalives_interval=10 keepalives_count=3 tcp_user_timeout=90000";
/** And in Node's: the kernel's own default is two hours. */
export const NODE_KEEPALIVE_MS = 30_000;

/** What every supported server knows; set before anything runs. */
const EVERYWHERE = {
  statement_timeout: "0",
  lock_timeout: "0",
  idle_in_transaction_session_timeout: "0",
  default_transaction_read_only: "off",
  tcp_keepalives_idle: KEEPALIVE.tcp_keepalives_idle,
  tcp_keepalives_interval: KEEPALIVE.tcp_keepalives_interval,
  tcp_keepalives_count: KEEPALIVE.tcp_keepalives_count,
} as const;

/**
 * What our own session sets besides. Node's client reads dates in the ISO style alone, and a server, a database or a role may
 * have another one. pg_dump and pg_restore set theirs.
 */
const OURS = {
  lock_timeout: LOCK_TIMEOUT,
  row_security: "off",
  search_path: "pg_catalog",
  DateStyle: "ISO",
} as const;

/** Settings of each session, by name. */
export type SessionSettings = Readonly<Record<string, string>>;

/**
 * Asks which limits the server knows, and who answers. A limit is a setting in milliseconds that a session may set to 0 for
 * "none": `idle_session_timeout` since PostgreSQL 14, `transaction_timeout` since 17, and whatever comes.
 */
export const BACKEND_SQL = `
  SELECT pg_catalog.pg_backend_pid() AS pid, pg_catalog.current_setting('server_encoding') AS encoding,
         ARRAY(SELECT name::text FROM pg_catalog.pg_settings
               WHERE name LIKE '%\\_timeout' AND context = 'user' AND unit = 'ms' AND min_val = '0'
               ORDER BY name) AS limits`;

/** What is known of a server: its limits, and whether settings can be given at the start of a connection. */
interface KnownServer {
  readonly limits: readonly string[];
  readonly takesOptions: boolean;
}

/**
 * What this process has learned of each server. A setting that a server does not know, given at the start, would end the
 * connection; pg_dump is started when the server is known already.
 */
const known = new Map<string, KnownServer>();

const address = ({ host, port }: ServerSettings) => `${host} ${port}`;

/** Remembers what a server knows, for the next connections and the programs. */
export function learn(settings: ServerSettings, server: KnownServer): void {
  known.set(address(settings), server);
}

/** Settings of our own session on a server that knows these limits. */
export function ownSettings(limits: readonly string[] = []): SessionSettings {
  return { ...settingsFor(limits), ...OURS };
}

/** What to give at the start of a connection of our own; undefined: the server refuses to be given anything. */
export function startupOptions(settings: ServerSettings): string | undefined {
  const server = known.get(address(settings));
  if (server?.takesOptions === false) return undefined;
  return optionsText(ownSettings(server?.limits));
}

/** The same for pg_dump, pg_dumpall and pg_restore, as `PGOPTIONS`. */
export function programOptions(settings: ServerSettings): string | undefined {
  const server = known.get(address(settings));
  if (server?.takesOptions === false) return undefined;
  return optionsText(settingsFor(server?.limits ?? []));
}

/** The settings as statements. */
export function setStatements(settings: SessionSettings): string {
  return Object.entries(settings)
    .map(([name, value]) => `SET ${name} = ${literal(value)}`)
    .join("; ");
}

function settingsFor(limits: readonly string[]): SessionSettings {
  const off = limits
    .filter((name) => name !== "tcp_user_timeout")
    .map((name) => [name, "0"] as const);
  const userTimeout = limits.includes("tcp_user_timeout")
    ? { tcp_user_timeout: KEEPALIVE.tcp_user_timeout }
    : {};
  return { ...EVERYWHERE, ...Object.fromEntries(off), ...userTimeout };
}

/** What was given by hand in PGOPTIONS comes last, and so wins. */
function optionsText(settings: SessionSettings): string {
  const ours = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  const byHand = process.env["PGOPTIONS"];
  return [...ours, ...(byHand ? [byHand] : [])].join(" ");
}
