import { DEFAULT_RPO_SECONDS } from "../../common/contracts/agentEnvironment/pointInTime.ts";
import { Problem } from "../../common/problem.ts";
import { parseDuration } from "../../common/schedule/duration.ts";
import { nextRun } from "../../common/schedule/nextRun.ts";
import { parseScheduleOf, Schedule } from "../../common/schedule/schedule.ts";
import type { SettingName } from "../pulumi/settingNames.ts";
import { sizeInMib } from "../server/serverSettings.ts";
import type { PointInTimeArgs } from "./pointInTimeArgs.ts";

/** Point-in-time recovery as it is declared, in numbers. */
export interface ResolvedPointInTime {
  readonly keepDays: number;
  readonly base: Schedule;
  readonly rpoSeconds: number;
  /** WAL that the server may hold. MiB, PostgreSQL's unit of `max_slot_wal_keep_size`. */
  readonly serverDiskMib: number;
}

const DAY_MS = 86_400_000;
const DEFAULT_SERVER_DISK = "4GB";
/** Sixteen segments: less than that is gone before anybody looks. */
const LEAST_MIB = 256;

/**
 * Reads what is declared.
 * @param schedule when dumps are made, which the default of the base backups keeps clear of; absent: not known here
 * @param name how messages name the argument `pointInTime` and what lies below it
 * @throws Problem that names the argument, what was found and what to give instead
 */
export function resolvePointInTime(
  args: PointInTimeArgs,
  name: SettingName,
  schedule?: Schedule,
): ResolvedPointInTime {
  return {
    keepDays: daysOf(args.keep, name("pointInTime.keep")),
    base: baseOf(args.base, name("pointInTime.base"), schedule),
    rpoSeconds: secondsOf(args.rpo ?? `${DEFAULT_RPO_SECONDS}s`, name("pointInTime.rpo")),
    serverDiskMib: mibOf(args.serverDisk ?? DEFAULT_SERVER_DISK, name("pointInTime.serverDisk")),
  };
}

function daysOf(keep: string, setting: string): number {
  const days = (parseDuration(keep) ?? 0) / DAY_MS;
  if (Number.isInteger(days) && days >= 1 && days <= 3_650) return days;
  throw new Problem(`${setting} "${keep}" must be whole days, 1d to 3650d, for instance 14d.`);
}

function secondsOf(rpo: string, setting: string): number {
  const seconds = (parseDuration(rpo) ?? 0) / 1000;
  if (seconds >= 1 && seconds <= 3_600) return seconds;
  throw new Problem(`${setting} "${rpo}" must be a time from 1s to 1h, for instance 10s.`);
}

function mibOf(serverDisk: string, setting: string): number {
  const mib = sizeInMib(serverDisk) ?? 0;
  if (mib >= LEAST_MIB) return mib;
  throw new Problem(
    `${setting} "${serverDisk}" must be a size of ${LEAST_MIB}MB or more with the unit MB, GB or TB, for instance 4GB.`,
  );
}

function baseOf(
  given: Schedule | string | undefined,
  setting: string,
  dumps: Schedule | undefined,
): Schedule {
  if (given !== undefined) {
    return typeof given === "string" ? parseScheduleOf(setting, given) : given;
  }
  for (let minute = 0; dumps !== undefined && minute < 60; minute++) {
    if (!isDueOnSundays(dumps, minute)) return sundays(minute);
  }
  return sundays(0);
}

function sundays(minute: number): Schedule {
  return Schedule.weekly("sun", `02:${String(minute).padStart(2, "0")}`);
}

/** Whether dumps are due in that minute of some Sunday; a time zone may put them there for half a year. */
function isDueOnSundays(dumps: Schedule, minute: number): boolean {
  const expression = dumps.toString();
  // Counted from the start of the container, which nobody knows here.
  if (expression.includes("@every")) return false;
  const firstSunday = Date.UTC(2027, 0, 3, 2, minute);
  return Array.from({ length: 53 }, (_, week) => firstSunday + week * 7 * DAY_MS).some((at) => {
    const next = nextRun(expression, new Date(at - 1)).getTime();
    return next < at + 60_000;
  });
}
