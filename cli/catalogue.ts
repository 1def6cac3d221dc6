import type { BackupOutputs } from "../components/outputs.ts";
import { Problem } from "../storage/problem.ts";
import type { Entry } from "./events.ts";
import { ageHours, formatAge, formatStamp, stampTime } from "./format.ts";
import { type Container, runAgent } from "./remote.ts";

/** `complete`: with manifest. `no manifest`: never finished. `legacy`: made by the old image, which writes none. */
export type State = "complete" | "no manifest" | "legacy";

/** Whether the newest complete backup is young enough. */
export interface Verdict {
  readonly newest: Entry | undefined;
  readonly ok: boolean;
  /** `newest 7 h old, RPO 26 h: ok` */
  readonly text: string;
}

/** Backups of the database, newest first. */
export async function listBackups(backup: BackupOutputs, container: Container): Promise<Entry[]> {
  const { backups } = await runAgent(container, ["list"], "list");
  return backups
    .filter((entry) => entry.database === backup.database)
    .sort((a, b) => b.stamp.localeCompare(a.stamp));
}

export function stateOf(entry: Entry): State {
  if (entry.kind === "legacy") return "legacy";
  return entry.manifestKey || entry.manifest ? "complete" : "no manifest";
}

/** Judges the newest complete backup against the RPO of the outputs. */
export function judgeAge(backup: BackupOutputs, entries: readonly Entry[], now: number): Verdict {
  const newest = entries.find((entry) => stateOf(entry) === "complete");
  const rpo = `RPO ${backup.rpoHours} h`;
  if (newest === undefined) {
    return { newest, ok: false, text: `no complete backup, ${rpo}: missed` };
  }
  const ok = ageHours(newest.stamp, now) <= backup.rpoHours;
  const age = formatAge(now - stampTime(newest.stamp));
  return { newest, ok, text: `newest ${age} old, ${rpo}: ${ok ? "ok" : "missed"}` };
}

/**
 * Chooses the backup to restore.
 * @param wanted `latest`, or a time as the list shows it
 * @throws Problem when none matches, or the one that matches was never finished
 */
export function chooseBackup(
  backup: BackupOutputs,
  entries: readonly Entry[],
  wanted: string,
): Entry {
  const where = `s3://${backup.location.bucket}/${backup.location.prefix}`;
  const restorable = entries.filter((entry) => stateOf(entry) !== "no manifest");
  const newest = restorable.find((entry) => stateOf(entry) === "complete") ?? restorable[0];
  if (newest === undefined) {
    throw new Problem(
      `there is no backup of ${backup.database} in ${where}. Make one with "backup", or check that this is the right stack.`,
    );
  }
  if (wanted === "latest") return newest;
  const stamp = parseStamp(wanted);
  const found = entries.find((entry) => entry.stamp === stamp);
  if (found === undefined) {
    const earlier = restorable.find((entry) => entry.stamp < stamp) ?? newest;
    throw new Problem(
      `no backup of ${backup.database} was taken at ${formatStamp(stamp)} UTC. The nearest is ${formatStamp(earlier.stamp)}; "list" shows all.`,
    );
  }
  if (stateOf(found) === "no manifest") {
    throw new Problem(
      `the backup of ${formatStamp(stamp)} has no manifest: it was never finished, or its manifest was removed, so it cannot be trusted. Choose another one from "list", for instance ${formatStamp(newest.stamp)}.`,
    );
  }
  return found;
}

/** `2026-11-24 03:15:02`, with a T or a Z as well. */
function parseStamp(text: string): string {
  const match = /^(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)Z?$/.exec(text);
  const stamp = match && `${match[1]}T${match[2]}`;
  if (!stamp || Number.isNaN(stampTime(stamp))) {
    throw new Problem(
      `"${text}" is not the time of a backup. Write it as the list shows it, for instance 2026-11-24T03:15:02, or "latest".`,
    );
  }
  return stamp;
}
