import { setTimeout as sleep } from "node:timers/promises";
import type pg from "pg";
import { Problem } from "../../../common/problem.ts";
import { identifier, literal } from "../../postgres/identifiers.ts";

/** A process of the server that works in a database. */
export interface Occupant {
  readonly pid: number;
  /** `client backend`, `walsender`, `logical replication worker`; null where the role may not see it. */
  readonly type: string | null;
  readonly application: string;
  /** Null: a worker of the server itself. */
  readonly role: string | null;
  readonly superuser: boolean;
  /** Whether the connection's role may end it. */
  readonly endable: boolean;
}

/**
 * What works in a database besides the connection itself. Workers of autovacuum are not among it: RENAME ends them by
 * itself (CountOtherDBBackends of PostgreSQL 17's procarray.c); and a worker of a parallel query goes with its leader.
 */
export async function readOccupants(client: pg.Client, database: string): Promise<Occupant[]> {
  // As pg_signal_backend of PostgreSQL 17's signalfuncs.c decides.
  const { rows } = await client.query<Occupant>(
    `SELECT a.pid, a.backend_type AS type, a.application_name AS application, a.usename AS role,
            coalesce(r.rolsuper, true) AS superuser,
            me.rolsuper OR (NOT coalesce(r.rolsuper, true)
              AND (pg_has_role(r.oid, 'USAGE') OR pg_has_role('pg_signal_backend', 'USAGE'))) AS endable
     FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
          CROSS JOIN (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) me
     WHERE a.datname = $1 AND a.pid <> pg_backend_pid()
       AND coalesce(a.backend_type, '') NOT IN ('autovacuum worker', 'parallel worker')
     ORDER BY a.pid`,
    [database],
  );
  return rows;
}

/** For a sentence: `client backend "puma" of "web" (pid 4711)`. */
export function describeOccupant({ pid, type, application, role }: Occupant): string {
  const name = application === "" || application === type ? "" : ` "${application}"`;
  // A worker of the server is no session, and a role that may not see the kind cannot tell the two apart.
  return `${type ?? "process"}${name}${role === null ? "" : ` of "${role}"`} (pid ${pid})`;
}

/** A process that is no session of a client: where the server starts it again, it waits while the database is renamed. */
export function isWorker({ type }: Occupant): boolean {
  return type !== null && type !== "client backend" && type !== "walsender";
}

/** A worker is started again within seconds, or not before the server is: `bgw_restart_time`, and never one that ended with code 0. */
const LOOKS = 10;
const LOOK_EVERY_MS = 500;

/**
 * Looks whether the server has started workers again that were ended: the launcher of pg_cron 1.4, for one, ends with code 0
 * (https://www.postgresql.org/docs/17/bgworker.html).
 * @returns what is missing of each that has not come back, for a sentence
 */
export async function findLostWorkers(
  client: pg.Client,
  workers: readonly Occupant[],
  looks = LOOKS,
): Promise<string[]> {
  let lost = workers;
  for (let look = 0; lost.length > 0 && look < looks; look += 1) {
    if (look > 0) await sleep(LOOK_EVERY_MS);
    const { rows } = await client.query<{ type: string | null }>(
      "SELECT DISTINCT backend_type AS type FROM pg_stat_activity",
    );
    const running = new Set(rows.map(({ type }) => type));
    lost = lost.filter(({ type }) => !running.has(type));
  }
  return lost.map(
    (worker) =>
      `the ${describeOccupant(worker)}: it was ended for the swap, and the server has not started it again. Restart the server`,
  );
}

/**
 * Looks for whatever is certain to keep a database from being renamed: RENAME wants it without any other process and
 * without prepared transactions (RenameDatabase of PostgreSQL 17's dbcommands.c). Sessions that may be ended are no
 * hindrance; they are ended at the swap.
 * @returns workers that the swap will end, for the announcement
 * @throws Problem that names each hindrance and the remedy of its kind
 */
export async function requireRenamable(
  client: pg.Client,
  database: string,
): Promise<readonly Occupant[]> {
  const name = identifier(database);
  const faults: string[] = [];
  const { rows: subscriptions } = await client.query<{ name: string; pid: number | null }>(
    `SELECT s.subname AS name, min(w.pid) AS pid FROM pg_subscription s
     JOIN pg_database d ON d.oid = s.subdbid LEFT JOIN pg_stat_subscription w ON w.subid = s.oid
     WHERE d.datname = $1 AND s.subenabled GROUP BY s.subname ORDER BY 1`,
    [database],
  );
  for (const { name: subscription, pid } of subscriptions) {
    const worker = pid === null ? "" : `, whose logical replication worker (pid ${pid}) holds it`;
    faults.push(
      `the subscription "${subscription}" is enabled there${worker}. Disable it, in that database: ALTER SUBSCRIPTION ${identifier(subscription)} DISABLE`,
    );
  }
  const { rows: prepared } = await client.query<{ gid: string; owner: string }>(
    "SELECT gid, owner FROM pg_prepared_xacts WHERE database = $1 ORDER BY prepared",
    [database],
  );
  for (const { gid, owner } of prepared) {
    faults.push(
      `the prepared transaction ${literal(gid)} of "${owner}" is open there. End it, in that database: COMMIT PREPARED ${literal(gid)} or ROLLBACK PREPARED ${literal(gid)}`,
    );
  }
  const occupants = (await readOccupants(client, database)).filter(
    ({ type }) => subscriptions.length === 0 || !/^logical replication/.test(type ?? ""),
  );
  faults.push(...(await notEndable(client, occupants)));
  if (faults.length > 0) {
    throw new Problem(
      `the database ${name} cannot be replaced now: ${faults.join("; ")}. Nothing was changed; --into NAME restores beside it.`,
    );
  }
  return occupants.filter(isWorker);
}

async function notEndable(client: pg.Client, occupants: readonly Occupant[]): Promise<string[]> {
  const kept = occupants.filter(({ endable }) => !endable);
  if (kept.length === 0) return [];
  const { rows } = await client.query<{ me: string }>("SELECT current_user AS me");
  const me = rows[0]?.me ?? "";
  const [superusers, others] = [true, false].map((superuser) =>
    kept.filter((occupant) => occupant.superuser === superuser).map(describeOccupant),
  );
  return [
    ...(superusers?.length
      ? [
          `only a superuser may end ${superusers.join(", ")}, which the role "${me}" is not. End it there, or restore as a superuser`,
        ]
      : []),
    ...(others?.length
      ? [
          `the role "${me}" may not end ${others.join(", ")}. Let it: GRANT pg_signal_backend TO ${identifier(me)}`,
        ]
      : []),
  ];
}
