import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import { Problem } from "../../common/problem.ts";
import { lastDue } from "../../common/schedule/nextRun.ts";
import { countingBackups, needsAcceptance } from "../../storage/catalogue/countingBackups.ts";
import { listJudged } from "../../storage/catalogue/judgeOrigin.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { trustOf } from "../archive/trust.ts";
import { selectDatabases } from "../postgres/databases.ts";

/** A scheduled run that was due and left no backup, because no container was there to make it. */
export interface MissedRun {
  readonly due: Date;
  readonly database: string;
  /** Stamp of the latest backup, which is older; null: there are some, and none of them counts. */
  readonly latestStamp: string | null;
}

/**
 * Looks in the bucket for a run that was missed: a container has no memory of its own. A database without any backup has
 * missed none; its first one is made at its time. Where all that there are may be somebody else's, one is due at once: they
 * are those that the container before this one made without a key, while this one could not be booted, or all were replaced.
 * @returns the first database whose latest backup is older than the last due time
 * @throws Problem when the schedule cannot be read, the bucket cannot be listed, or the databases are not known
 */
export async function missedRun(
  store: ObjectStore,
  settings: AgentSettings,
  now: Date,
  timezone: string | undefined,
): Promise<MissedRun | undefined> {
  const { schedule } = settings;
  const due = schedule === undefined ? undefined : lastDue(schedule, now, { timezone });
  if (due === undefined) return undefined;
  for (const database of await selectDatabases(settings)) {
    const entries = await listJudged(store, database, trustOf(settings));
    const [latest] = countingBackups(entries);
    if (latest === undefined ? entries.some(needsAcceptance) : isBefore(latest, due)) {
      return { due, database, latestStamp: latest?.stamp ?? null };
    }
  }
  return undefined;
}

/**
 * Whether a good backup of a database was taken at a time or later. False, too, where the bucket cannot be listed: then it is not
 * known.
 */
export async function hasBackupSince(
  store: ObjectStore,
  settings: AgentSettings,
  database: string,
  since: Date,
): Promise<boolean> {
  try {
    const [latest] = countingBackups(await listJudged(store, database, trustOf(settings)));
    return latest !== undefined && !isBefore(latest, since);
  } catch (error) {
    if (error instanceof Problem) return false;
    throw error;
  }
}

/**
 * Those of the databases of which the bucket has no backup, good or not. One that is there may be what a server that was made anew
 * is waiting to be restored from; then a backup of the empty database must not come before it.
 * @throws Problem when the bucket cannot be listed
 */
export async function databasesWithoutBackup(
  store: ObjectStore,
  settings: AgentSettings,
  databases: readonly string[],
): Promise<string[]> {
  const without: string[] = [];
  for (const database of databases) {
    const entries = await listJudged(store, database, trustOf(settings));
    if (entries.length === 0) without.push(database);
  }
  return without;
}

function isBefore({ stamp }: { readonly stamp: string }, time: Date): boolean {
  return Date.parse(`${stamp}Z`) < time.getTime();
}
