import type { DrillRecord } from "../../common/contracts/drillRecord.ts";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { countingBackups } from "../../storage/catalogue/countingBackups.ts";
import { formatAge, stampTime } from "../terminal/format.ts";
import type { Listing } from "./source.ts";

/** What drills have shown of the backups of one database. */
export interface DrillFreshness {
  /** The newest that passed with the backup's own major version; a rehearsal of an upgrade is another matter. */
  readonly passed: DrillRecord | undefined;
  /** The newest of all. */
  readonly newest: DrillRecord | undefined;
  /** False: the newest that passed is older than declared, or there is none and one is due. */
  readonly inTime: boolean;
  /** `passed 2 d ago, due every 7 d`; of what is late, what was found alone: `passed 9 d ago`, `none has passed`. */
  readonly text: string;
}

/**
 * Judges the drills of a database against what is declared. A first drill is due when the oldest backup is as old as a drill may
 * be: before, nothing could have been drilled.
 * @returns undefined where nobody knows of drills, or nobody asks for them and there was none
 */
export function judgeDrills(
  { drill }: Pick<BackupOutputs, "drill">,
  { drills, entries }: Pick<Listing, "drills" | "entries">,
  now: number,
): DrillFreshness | undefined {
  if (drills === undefined) return undefined;
  const everyMs = drill?.everyMs;
  const [newest] = drills;
  if (newest === undefined && everyMs === undefined) return undefined;
  const passed = drills.find((one) => one.verdict === "passed" && one.upgradeTo === null);
  const age = passed && formatAge(now - Date.parse(passed.startedAt));
  const since = passed ? Date.parse(passed.startedAt) : firstBackup(entries, now);
  const inTime = everyMs === undefined || now - since <= everyMs;
  const found = age === undefined ? "none has passed" : `passed ${age} ago`;
  const latest =
    newest === undefined || newest === passed || newest.verdict === "passed"
      ? ""
      : `, the newest ${newest.verdict === "failed" ? "failed" : "could not run"}: ${newest.reason}`;
  const due = everyMs === undefined ? "" : `, due every ${formatAge(everyMs)}`;
  return { passed, newest, inTime, text: `${found}${inTime ? due : ""}${latest}` };
}

/** So long after the first backup somebody should have tried the key that they keep. */
const REMIND_AFTER_MS = 30 * 86_400_000;

/**
 * A reminder that nobody has ever opened a backup with the age identity: one that is lost, or was never the right one, is found
 * out on the bad night otherwise.
 * @returns undefined where a drill has, where it is too early to ask, or where that is not known
 */
export function unprovenIdentity(
  { drills, entries }: Pick<Listing, "drills" | "entries">,
  now: number,
): string | undefined {
  const [newest] = countingBackups(entries);
  const { recipients = [] } = newest?.manifest ?? {};
  if (drills === undefined || recipients.length === 0) return undefined;
  if (now - firstBackup(entries, now) < REMIND_AFTER_MS) return undefined;
  if (drills.some(({ openedWith }) => openedWith !== null && recipients.includes(openedWith))) {
    return undefined;
  }
  return `no drill has opened a backup with the identity of ${recipients.join(" or ")}, so whether you still have it is not known: kamal-postgres-backup drill --identity FILE`;
}

/** Whether a drill has shown that its backup cannot be relied on; a rehearsal of an upgrade is another matter. */
export function isFailed(drill: DrillRecord | undefined): boolean {
  return drill?.verdict === "failed" && drill.upgradeTo === null;
}

function firstBackup(entries: readonly CatalogueEntry[], now: number): number {
  return Math.min(now, ...countingBackups(entries).map(({ stamp }) => stampTime(stamp)));
}

/** What a list says of a backup that was drilled: its newest drill. */
export function drillRemark(
  drills: readonly DrillRecord[] | undefined,
  { key }: Pick<CatalogueEntry, "key">,
): string {
  const newest = drills?.find(({ backup }) => backup?.key === key);
  if (newest === undefined || newest.verdict === "couldNotRun") return "";
  const { verdict, startedAt, reason, upgradeTo } = newest;
  const on = `on ${startedAt.slice(0, 10)}`;
  const into = upgradeTo === null ? "" : ` into PostgreSQL ${upgradeTo}`;
  return verdict === "passed" ? `drilled ${on}${into}` : `drill${into} failed ${on}: ${reason}`;
}
