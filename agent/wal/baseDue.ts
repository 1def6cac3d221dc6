import type {
  DeclaredPointInTime,
  PointInTimeSettings,
} from "../../common/contracts/agentEnvironment/pointInTime.ts";
import type { Base } from "../../common/contracts/pointInTime.ts";
import { lastDue, nextRun } from "../../common/schedule/nextRun.ts";

/** A whole base backup, or what has changed since the one before. */
export type BaseKind = "whole" | "incremental";

const HOUR_MS = 3_600_000;
/** Between two bases of either kind, where the server can tell what has changed: so much WAL is replayed at most. */
const INCREMENTAL_EVERY_MS = 24 * HOUR_MS;

/** The bases of a chain, as far as they are known. Stamps are UTC to the second. */
export interface KnownBases {
  /** The newest whole one; null: there is none. */
  readonly whole: string | null;
  /** The newest of either kind; null: there is none. */
  readonly newest: string | null;
}

/** @param bases the newest first, back to the newest whole one */
export function knownBases(bases: readonly Base[]): KnownBases {
  return {
    whole: bases.find(({ parent }) => parent === null)?.stamp ?? null,
    newest: bases[0]?.stamp ?? null,
  };
}

/**
 * What is assumed where the key may not look: a chain that is older than the last due time had its base then; a younger one has none.
 */
export function assumedBases(
  chain: string,
  { baseSchedule }: Pick<PointInTimeSettings, "baseSchedule">,
  now: Date,
  timezone?: string,
): KnownBases {
  const due = lastDue(baseSchedule, now, { timezone, variable: VARIABLE });
  const stamp = due !== undefined && beginningOf(chain) <= due ? stampOf(due) : null;
  return { whole: stamp, newest: stamp };
}

/**
 * The base backup that is due.
 * @param canIncrement the server keeps account of what has changed, and the key may read
 */
export function baseDue(
  { whole, newest }: KnownBases,
  { baseSchedule }: Pick<PointInTimeSettings, "baseSchedule">,
  canIncrement: boolean,
  now: Date,
  timezone?: string,
): BaseKind | undefined {
  if (whole === null || newest === null) return "whole";
  const due = lastDue(baseSchedule, now, { timezone, variable: VARIABLE });
  if (due !== undefined && whole < stampOf(due)) return "whole";
  const age = now.getTime() - Date.parse(`${newest}Z`);
  return canIncrement && age >= INCREMENTAL_EVERY_MS ? "incremental" : undefined;
}

/** @throws Problem when the schedule of the base backups cannot be read */
export function requireBaseSchedule({ pointInTime }: DeclaredPointInTime): void {
  if (pointInTime === undefined) return;
  nextRun(pointInTime.baseSchedule, new Date(), { variable: VARIABLE });
}

/** How long the next try waits after so many failures in a row: an hour, then a day. Milliseconds. */
export function pauseAfter(failures: number): number {
  return failures <= 1 ? HOUR_MS : 24 * HOUR_MS;
}

const VARIABLE = "POINT_IN_TIME_BASE_SCHEDULE";

/** When a chain began, which its name says. @example "kpb_20261128t031502_9f3a1c" */
function beginningOf(chain: string): Date {
  const [, year, month, day, hour, minute, second] =
    /^kpb_(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)_/.exec(chain) ?? [];
  return new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
}

function stampOf(time: Date): string {
  return time.toISOString().slice(0, 19);
}
