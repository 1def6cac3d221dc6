import type pg from "pg";
import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import { WAL_RECEIVER, WAL_ROLE } from "../../common/contracts/agentEnvironment/pointInTime.ts";
import type { ServerSettings } from "../../common/contracts/agentEnvironment/postgres.ts";
import { Problem } from "../../common/problem.ts";
import { walBytes } from "../../storage/catalogue/walPosition.ts";

const MiB = 1024 * 1024;

/** What the agent must know of a server whose WAL it archives. */
export interface WalServer {
  readonly systemIdentifier: string;
  /** `17.6 (Debian 17.6-1)` */
  readonly version: string;
  readonly major: number;
  readonly timeline: number;
  readonly segmentBytes: number;
  /** How far it has written. */
  readonly written: bigint;
  /** Its clock, ISO 8601 in UTC with milliseconds. */
  readonly now: string;
  /** It keeps account of what has changed (`summarize_wal` of PostgreSQL 17 and later). */
  readonly summarizes: boolean;
}

/** A slot that holds the WAL of a chain. */
export interface WalSlot {
  readonly name: string;
  /** Null: it holds nothing any more. */
  readonly restart: bigint | null;
  /** `reserved`, `extended`, `unreserved`, `lost`. */
  readonly status: string | null;
}

/** How far archiving has come, in the server's eyes. */
export interface WalLook {
  readonly now: string;
  readonly written: bigint;
  /** How far the receiver has written; null: none is connected. */
  readonly received: bigint | null;
  /** Undefined: it is gone. */
  readonly slot: WalSlot | undefined;
  /** What the server may hold for a slot; null: without bound. Bytes. */
  readonly boundBytes: number | null;
}

/** The connection's settings for the role that may replicate. @throws Problem where it is not switched on */
export function walSettings({ postgres, pointInTime }: AgentSettings): ServerSettings {
  if (pointInTime === undefined) {
    throw new Problem(
      "point-in-time recovery is not switched on: POINT_IN_TIME_KEEP_DAYS is not set. Declare pointInTime, then pulumi up.",
    );
  }
  return { ...postgres, user: WAL_ROLE, password: pointInTime.password, database: "postgres" };
}

/** @throws Problem when its WAL cannot be archived */
export async function readWalServer(client: pg.Client): Promise<WalServer> {
  const { rows } = await client.query<{
    standby: boolean;
    standbys: string;
    system: string;
    version: string;
    number: number;
    timeline: string | null;
    segment: string;
    written: string | null;
    now: Date;
    summarizes: boolean;
  }>(
    `SELECT pg_is_in_recovery() AS standby, current_setting('synchronous_standby_names') AS standbys,
            (SELECT system_identifier::text FROM pg_control_system()) AS system,
            current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
            CASE WHEN NOT pg_is_in_recovery() THEN left(pg_walfile_name(pg_current_wal_insert_lsn()), 8) END AS timeline,
            (SELECT setting FROM pg_settings WHERE name = 'wal_segment_size') AS segment,
            CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_flush_lsn()::text END AS written,
            now() AS now, coalesce(current_setting('summarize_wal', true), 'off') = 'on' AS summarizes`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error("the server did not say what it is");
  if (row.standby || row.timeline === null || row.written === null) {
    throw new Problem(
      "this server is a standby, whose WAL is written by another one. Give POSTGRES_HOST of the primary.",
    );
  }
  if (waitsForEveryone(row.standbys)) {
    throw new Problem(
      `synchronous_standby_names is "${row.standbys}", so that each commit would wait for the archive. Name the standbys that are meant: ALTER SYSTEM SET synchronous_standby_names = 'name'; SELECT pg_reload_conf().`,
    );
  }
  return {
    systemIdentifier: row.system,
    version: row.version,
    major: Math.floor(row.number / 10_000),
    timeline: Number.parseInt(row.timeline, 16),
    segmentBytes: Number(row.segment),
    written: walBytes(row.written),
    now: row.now.toISOString(),
    summarizes: row.summarizes,
  };
}

/** Whether the receiver would count as one of those standbys: `*` is everybody. */
function waitsForEveryone(names: string): boolean {
  return names.split(/[\s,()]+/).some((name) => {
    const plain = name.replace(/^"(.*)"$/, "$1");
    return plain === "*" || plain === WAL_RECEIVER;
  });
}

const SLOT_COLUMNS = "slot_name AS name, restart_lsn::text AS restart, wal_status AS status";

interface SlotRow {
  readonly name: string;
  readonly restart: string | null;
  readonly status: string | null;
}

const slotOf = ({ name, restart, status }: SlotRow): WalSlot => ({
  name,
  restart: restart === null ? null : walBytes(restart),
  status,
});

/** All slots of chains, the newest first. */
export async function readSlots(client: pg.Client): Promise<WalSlot[]> {
  const { rows } = await client.query<SlotRow>(
    `SELECT ${SLOT_COLUMNS} FROM pg_replication_slots
     WHERE slot_type = 'physical' AND slot_name LIKE 'kpb\\_%' AND NOT temporary ORDER BY slot_name DESC`,
  );
  return rows.map(slotOf);
}

export async function lookAtWal(client: pg.Client, chain: string): Promise<WalLook> {
  const { rows } = await client.query<{
    now: Date;
    written: string;
    received: string | null;
    bound: string;
  }>(
    `SELECT now() AS now, pg_current_wal_flush_lsn()::text AS written,
            (SELECT max(write_lsn)::text FROM pg_stat_replication WHERE application_name = $1) AS received,
            (SELECT setting FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS bound`,
    [WAL_RECEIVER],
  );
  const [row] = rows;
  if (row === undefined) throw new Error("the server did not say how far its WAL is");
  const megabytes = Number(row.bound);
  const slots = await readSlots(client);
  return {
    now: row.now.toISOString(),
    written: walBytes(row.written),
    received: row.received === null ? null : walBytes(row.received),
    slot: slots.find(({ name }) => name === chain),
    boundBytes: megabytes < 0 ? null : megabytes * MiB,
  };
}

/** The oldest segment that the server still has on this timeline. */
export async function oldestSegment(
  client: pg.Client,
  timeline: number,
): Promise<string | undefined> {
  const { rows } = await client.query<{ name: string | null }>(
    "SELECT min(name) AS name FROM pg_ls_waldir() WHERE name ~ $1",
    [`^${timeline.toString(16).toUpperCase().padStart(8, "0")}[0-9A-F]{16}$`],
  );
  return rows[0]?.name ?? undefined;
}

/** WAL that the server holds for a slot. Bytes. */
export function heldBytes(written: bigint, restart: bigint): number {
  return Math.max(0, Number(written - restart));
}
