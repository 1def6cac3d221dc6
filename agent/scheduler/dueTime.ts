import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import { Problem } from "../../common/problem.ts";
import { dueAfter, nextRun, withJitter } from "../../common/schedule/nextRun.ts";
import { isDenied } from "../../storage/s3/errors.ts";
import type { AgentContext } from "../runtime/context.ts";
import { errorMessage } from "../runtime/errorMessage.ts";
import { LONGEST_LIMIT_HOURS } from "../runtime/signals.ts";
import { missedRun } from "./missedRun.ts";

/** Time for a host that has just started to bring its database up, and for the boot's own checks. */
const CATCH_UP_DELAY_S = 120;

const epoch = (date: Date) => Math.floor(date.getTime() / 1000);

const HOUR_MS = 3_600_000;
const DEFAULT_LIMIT_HOURS = 6;

/** How long one run of the backup may take, hours: as set, else the longer of 6 and the schedule's interval. */
export function runLimitHours({ schedule, maxRunHours }: AgentSettings, now = new Date()): number {
  if (maxRunHours !== undefined) return maxRunHours;
  if (schedule === undefined) return DEFAULT_LIMIT_HOURS;
  const timezone = process.env["TZ"];
  const first = nextRun(schedule, now, { timezone });
  const interval = nextRun(schedule, first, { timezone }).getTime() - first.getTime();
  return Math.min(Math.max(interval / HOUR_MS, DEFAULT_LIMIT_HOURS), LONGEST_LIMIT_HOURS);
}

/**
 * What run.sh waits for: when the next run is due and when it begins, which is later by a random delay, both in seconds
 * since 1970; and how many seconds it may take.
 * @param last when the last run was due; absent at the start of the container
 * @throws Problem when there is no schedule or it cannot be read
 */
export function nextRunLine(settings: AgentSettings, last: Date | undefined): string {
  const { schedule, jitterSeconds } = settings;
  if (schedule === undefined) throw new Problem("SCHEDULE is not set, so nothing is ever due.");
  const due = dueAfter(schedule, new Date(), { last, timezone: process.env["TZ"] });
  const limit = Math.ceil((runLimitHours(settings) * HOUR_MS) / 1000);
  return `${epoch(due)} ${epoch(withJitter(due, jitterSeconds))} ${limit}`;
}

/**
 * When to make up for a run that was due while no container was there: in two minutes, in seconds since 1970; an empty
 * text when none was missed. Why goes to standard error. When it cannot be found out yet, since the host's network or
 * database is still starting, it is tried again then.
 * @throws Problem when the key may not list the bucket: then it is never known
 */
export async function catchUpLine({ settings, store, report }: AgentContext): Promise<string> {
  const now = new Date();
  const later = String(epoch(now) + CATCH_UP_DELAY_S);
  try {
    const missed = await missedRun(store, settings, now, process.env["TZ"]);
    if (missed === undefined) return "";
    const { database, due, latestStamp } = missed;
    const found =
      latestStamp === null
        ? "but none of those in the bucket counts, since their origin is not known"
        : `but the latest is from ${latestStamp}Z`;
    report.warn(
      `a backup of "${database}" was due ${due.toISOString().slice(0, 19)}Z, ${found}: it is made up for in two minutes`,
    );
  } catch (error) {
    if (isDenied(error instanceof Error ? error.cause : undefined)) throw error;
    report.warn(
      `whether a run was missed is not known yet and is checked again in two minutes: ${errorMessage(error)}`,
    );
  }
  return later;
}
