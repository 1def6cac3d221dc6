import type { Entry } from "../../common/contracts/agentEvents.ts";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import {
  type CatalogueEntry,
  chooseBackup,
  isComplete,
} from "../../storage/catalogue/catalogue.ts";
import { notAfter as takenBy } from "../../storage/catalogue/notAfter.ts";
import { runAgent } from "../session/agentCall.ts";
import { placeArguments } from "../session/copy.ts";
import { databaseArguments } from "../session/databases.ts";
import type { Session } from "../session/session.ts";
import { ageHours, formatAge, stampTime } from "../terminal/format.ts";

/**
 * `complete`: with manifest. `verified`: and read back whole. `suspect`: doubted when it was taken. `no manifest`: never
 * finished. `legacy`: made by the old image, which writes none.
 */
export type State = "complete" | "verified" | "suspect" | "no manifest" | "legacy";

/** Whether the newest complete backup is young enough. */
export interface Verdict {
  readonly newest: CatalogueEntry | undefined;
  readonly ok: boolean;
  /** `newest 7 h old, RPO 26 h: ok` */
  readonly text: string;
}

/** Backups of the database, newest first. */
export async function listBackups(session: Session): Promise<Entry[]> {
  const { backup, container, screen } = session;
  const args = ["list", ...databaseArguments(backup), ...placeArguments(session)];
  const { backups } = await runAgent(container, args, "list", {
    onStderrLine: (line) => screen.warn(line),
  });
  return backups
    .filter((entry) => entry.database === backup.database)
    .sort((a, b) => b.stamp.localeCompare(a.stamp));
}

export function stateOf(entry: CatalogueEntry): State {
  if (entry.kind === "legacy") return "legacy";
  if (!isComplete(entry)) return "no manifest";
  if (entry.suspect) return "suspect";
  return entry.verifiedKey === null ? "complete" : "verified";
}

/** Judges the newest complete backup against the RPO of the outputs. */
export function judgeAge(
  backup: BackupOutputs,
  entries: readonly CatalogueEntry[],
  now: number,
): Verdict {
  const newest = entries.find((entry) => ["complete", "verified"].includes(stateOf(entry)));
  const rpo = `RPO ${backup.rpoHours} h`;
  if (newest === undefined) {
    return { newest, ok: false, text: `no complete backup, ${rpo}: missed` };
  }
  const ok = ageHours(newest.stamp, now) <= backup.rpoHours;
  const age = formatAge(now - stampTime(newest.stamp));
  return { newest, ok, text: `newest ${age} old, ${rpo}: ${ok ? "ok" : "missed"}` };
}

/**
 * Chooses the backup to restore, by the rule that the agent has.
 * @param wanted `latest`, or a time as the list shows it, with a blank or a T
 * @param notAfter only of those that were taken at this time or before it
 * @throws Problem when none matches, or the one that matches was never finished
 */
export function chooseEntry(
  backup: BackupOutputs,
  entries: readonly Entry[],
  wanted: string,
  notAfter?: string,
): Entry {
  const { bucket, prefix } = backup.location;
  const location = `s3://${bucket}/${prefix}`;
  const old = notAfter === undefined ? entries : takenBy(entries, notAfter, location);
  const stamp = wanted.trim().replace(/(?<=\d) (?=\d)/, "T");
  const { key } = chooseBackup(old, stamp, backup.database, location);
  return entries.find((entry) => entry.key === key) as Entry;
}
