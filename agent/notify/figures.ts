import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import { Problem } from "../../common/problem.ts";
import { dueAfter } from "../../common/schedule/nextRun.ts";
import { countingBackups } from "../../storage/catalogue/countingBackups.ts";
import { countingDrills } from "../../storage/catalogue/drillRecords.ts";
import { listJudged } from "../../storage/catalogue/judgeOrigin.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { trustOf } from "../archive/trust.ts";

/** What a monitoring system wants to know besides the run itself; each is absent where it is not known. */
export interface Figures {
  readonly next_due_timestamp_seconds?: number;
  readonly stored_backups?: number;
  readonly stored_bytes?: number;
  readonly last_drill_timestamp_seconds?: number;
  readonly last_drill_success?: 0 | 1;
  readonly last_drill_duration_seconds?: number;
}

/**
 * Reads them of a database from the bucket. A key that may not list or read leaves out what it does not see.
 * @param now end of the run
 */
export async function figuresOf(
  store: ObjectStore,
  settings: AgentSettings,
  database: string,
  now: Date,
): Promise<Figures> {
  const { schedule } = settings;
  const timezone = process.env["TZ"];
  const trust = trustOf(settings);
  const entries = await unlessDenied(() => listJudged(store, database, trust));
  const drills = await unlessDenied(() => countingDrills(store, database, trust.keys));
  const counting = entries && countingBackups(entries);
  // One that could not run has found nothing out, and a rehearsal of an upgrade something else: the one before it stands.
  const drill = drills?.find(
    ({ verdict, upgradeTo }) => verdict !== "couldNotRun" && upgradeTo === null,
  );
  return {
    ...(schedule !== undefined && {
      next_due_timestamp_seconds: seconds(dueAfter(schedule, now, { timezone })),
    }),
    ...(counting && {
      stored_backups: counting.length,
      stored_bytes: counting.reduce((sum, { bytes }) => sum + bytes, 0),
    }),
    ...(drill && {
      last_drill_timestamp_seconds: seconds(new Date(drill.startedAt)),
      last_drill_success: drill.verdict === "passed" ? 1 : 0,
      last_drill_duration_seconds: drill.totalMs / 1000,
    }),
  };
}

function seconds(time: Date): number {
  return Math.floor(time.getTime() / 1000);
}

async function unlessDenied<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}
