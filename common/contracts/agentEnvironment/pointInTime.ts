import * as z from "zod";
import { Problem } from "../../problem.ts";
import { nonDefault, REMEDY, wholeNumber } from "./variables.ts";

/** Role by which WAL and base backups are read; it may replicate and monitor, and nothing else. */
export const WAL_ROLE = "kpb_wal";
/** How the program that receives WAL names itself to the server, as `pg_stat_replication` shows it. */
export const WAL_RECEIVER = "kamal-postgres-backup-wal";
/** Longest time for which a write may lie on the database's host alone, where nothing else is declared. Seconds. */
export const DEFAULT_RPO_SECONDS = 10;

/** How any second of the last days can be recovered; the whole of it is absent where that is not switched on. */
export interface PointInTimeSettings {
  /** Days back of which any second is to be reachable. `POINT_IN_TIME_KEEP_DAYS`, which switches it on */
  readonly keepDays: number;
  /** When a whole base backup is taken: a cron expression as of `SCHEDULE`. `POINT_IN_TIME_BASE_SCHEDULE` */
  readonly baseSchedule: string;
  /** Seconds after which the open segment is stored as far as it has come. `POINT_IN_TIME_RPO_SECONDS` @default 10 */
  readonly rpoSeconds: number;
  /** Password of `WAL_ROLE`. `POINT_IN_TIME_PASSWORD` */
  readonly password: string;
}

/** The settings' slice; absent: not switched on. */
export interface DeclaredPointInTime {
  readonly pointInTime?: PointInTimeSettings;
}

export const pointInTimeVariables = {
  POINT_IN_TIME_KEEP_DAYS: wholeNumber("POINT_IN_TIME_KEEP_DAYS", 1, 3_650).optional(),
  POINT_IN_TIME_BASE_SCHEDULE: z.string().optional(),
  POINT_IN_TIME_RPO_SECONDS: wholeNumber("POINT_IN_TIME_RPO_SECONDS", 1, 3_600).default(
    String(DEFAULT_RPO_SECONDS),
  ),
  POINT_IN_TIME_PASSWORD: z.string().optional(),
};

type Variables = z.infer<z.ZodObject<typeof pointInTimeVariables>>;

export function pointInTimeClearEnv({ pointInTime }: DeclaredPointInTime): Record<string, string> {
  if (pointInTime === undefined) return {};
  return nonDefault([
    ["POINT_IN_TIME_KEEP_DAYS", pointInTime.keepDays],
    ["POINT_IN_TIME_BASE_SCHEDULE", pointInTime.baseSchedule],
    ["POINT_IN_TIME_RPO_SECONDS", pointInTime.rpoSeconds, String(DEFAULT_RPO_SECONDS)],
  ]);
}

export function pointInTimeSecretEnv({ pointInTime }: DeclaredPointInTime): Record<string, string> {
  return nonDefault([["POINT_IN_TIME_PASSWORD", pointInTime?.password]]);
}

/** @throws Problem when it is switched on and a variable that it needs is missing */
export function parsePointInTime(e: Variables): DeclaredPointInTime {
  if (e.POINT_IN_TIME_KEEP_DAYS === undefined) return {};
  return {
    pointInTime: {
      keepDays: Number(e.POINT_IN_TIME_KEEP_DAYS),
      baseSchedule: required(e, "POINT_IN_TIME_BASE_SCHEDULE"),
      rpoSeconds: Number(e.POINT_IN_TIME_RPO_SECONDS),
      password: required(e, "POINT_IN_TIME_PASSWORD"),
    },
  };
}

function required(
  e: Variables,
  name: "POINT_IN_TIME_BASE_SCHEDULE" | "POINT_IN_TIME_PASSWORD",
): string {
  const value = e[name];
  if (value !== undefined) return value;
  throw new Problem(`${name} is required beside POINT_IN_TIME_KEEP_DAYS. ${REMEDY}`);
}
