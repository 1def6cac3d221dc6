import type { Entry } from "../../common/contracts/agentEvents.ts";
import { remarksOn } from "../../common/contracts/leftOut.ts";
import { totalRows } from "../../common/contracts/manifest.ts";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { formatBytes } from "../../common/format.ts";
import { Problem } from "../../common/problem.ts";
import { markRemarks } from "../../storage/catalogue/marks.ts";
import { databasesInBucket } from "../backups/bucketSource.ts";
import { drillRemark } from "../backups/drillFreshness.ts";
import { judgeAge } from "../backups/freshness.ts";
import { readReach } from "../backups/reach.ts";
import { reachLines } from "../backups/reachFreshness.ts";
import { type Listing, readBackups, sourcesOf } from "../backups/source.ts";
import { keptUntil, type State, stateOf } from "../backups/states.ts";
import { ContainerDown } from "../session/agentCall.ts";
import { inspectContainer } from "../session/container.ts";
import { type CopyOption, chooseBucket } from "../session/copy.ts";
import { forOneDatabase } from "../session/databases.ts";
import type { Session } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import { EXIT } from "../terminal/exitCodes.ts";
import { ageHours, formatCount, formatStamp, plural } from "../terminal/format.ts";
import { type Column, paint } from "../terminal/render.ts";
import type { Screen } from "../terminal/screen.ts";

/** Rows shown without `--all`; the agent reads the manifests of as many. */
const shown = 50;

export interface ListOptions extends CopyOption {
  /** Shows every backup. @default the newest 50 */
  readonly all?: boolean;
}

/**
 * Shows the backups of the database, newest first, as the agent lists them or, where it cannot, as they lie in the bucket.
 * @returns the exit code: `badNews` where the newest is too old, the last run failed, or the container does not run
 * @throws Problem when neither lists them
 */
export async function list(
  opened: Session,
  stack: StackChoice,
  options: ListOptions,
): Promise<number> {
  const chosen = chooseBucket(opened, options);
  const session = await forOneDatabase(chosen, () => databasesInBucket(chosen, stack));
  const { backup, databases, screen } = session;
  const now = Date.now();
  const sources = sourcesOf(session, stack, shown);
  const { listings, agentFailure, failure } = await readBackups(sources, databases);
  if (failure !== undefined) throw failure;
  if (agentFailure !== undefined) screen.warn(`read from the bucket: ${agentFailure.message}`);
  const { entries, source, lastFailure, drills } = listings[0] as Listing;
  const runningMs = entries.length === 0 ? await runningSince(session, agentFailure) : undefined;
  const { latest, withinRpo, text } = judgeAge(backup, entries, now, runningMs);
  const { bucket, prefix } = backup.location;
  const location = `s3://${bucket}/${prefix}`;
  screen.line(
    `${paint.strong(backup.database)}   ${location}   ${(withinRpo ? paint.good : paint.bad)(text)}`,
  );
  if (lastFailure !== undefined) screen.line(paint.bad(`The last backup failed: ${lastFailure}`));
  const visible = options.all ? entries : entries.slice(0, shown);
  if (visible.length > 0) screen.line();
  printBackups(screen, backup, visible, drills);
  const hidden = entries.length - visible.length;
  if (hidden > 0) screen.line(`  ${plural(hidden, "older backup")}: list --all`);
  const reach = await recoveryOf(session, stack);
  if (reach !== undefined && visible.length > 0) screen.line();
  for (const line of reach?.lines ?? []) screen.line(`Recovery: ${line}.`);
  screen.document({
    database: backup.database,
    location,
    ...(session.ofCopy && { copy: true }),
    rpoHours: backup.rpoHours,
    newest: latest && { stamp: latest.stamp, ageHours: ageHours(latest.stamp, now) },
    withinRpo,
    seen: source,
    ...(lastFailure !== undefined && { lastFailure }),
    ...(drills && { drills }),
    ...(reach && { pointInTime: reach.document }),
    backups: entries.map((entry) => ({
      stamp: entry.stamp,
      state: stateOf(entry),
      key: entry.key,
      bytes: entry.bytes,
      ...deploysOf(entry),
      ...(backup.retentionDays !== undefined && { keptUntil: keptUntil(backup, entry) }),
      manifest: entry.manifest ?? null,
    })),
  });
  const isDown = agentFailure instanceof ContainerDown;
  return withinRpo && lastFailure === undefined && !isDown ? EXIT.well : EXIT.badNews;
}

/** Which moments can be recovered besides, where that is declared. The copies have no WAL. */
async function recoveryOf(
  session: Session,
  stack: StackChoice,
): Promise<{ lines: string[]; document: unknown } | undefined> {
  if (session.backup.pointInTime === undefined || session.ofCopy) return undefined;
  try {
    const { windows, gaps } = (await readReach(session, stack)).found;
    return { lines: reachLines({ windows, gaps }), document: { windows, gaps } };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { lines: [`not known, for ${error.message.replace(/\.$/, "")}`], document: null };
  }
}

/** How long the container has been running; asked only where there is no backup yet. */
async function runningSince(
  { container }: Session,
  agentFailure: Problem | undefined,
): Promise<number | undefined> {
  if (agentFailure !== undefined) return undefined;
  try {
    return (await inspectContainer(container)).runningMs;
  } catch (error) {
    // The list is there; without an answer the verdict is the stricter one.
    if (error instanceof Problem) return undefined;
    throw error;
  }
}

/**
 * `kept until` only where the bucket's rules are declared here. Why a suspect one is suspect, what a partial one lacks, stands
 * below it.
 */
function printBackups(
  screen: Screen,
  backup: BackupOutputs,
  entries: readonly Entry[],
  drills: Listing["drills"],
): void {
  if (entries.length === 0) return;
  const { retentionDays } = backup;
  const columns: Column[] = [
    { title: "taken (UTC)" },
    { title: "size", align: "right" },
    { title: "database", align: "right", givesWay: 2 },
    { title: "tables", align: "right", givesWay: 1 },
    { title: "rows", align: "right", givesWay: 4 },
    { title: "state" },
    ...(retentionDays === undefined ? [] : [{ title: "kept until", givesWay: 3 }]),
  ];
  const rows = entries.map((entry) => {
    const { manifest } = entry;
    return [
      formatStamp(entry.stamp),
      formatBytes(entry.bytes),
      manifest ? formatBytes(manifest.databaseBytes) : "",
      manifest ? formatCount(manifest.tables.length) : "",
      manifest ? formatCount(totalRows(manifest)) : "",
      paintState(stateOf(entry)),
      ...(retentionDays === undefined ? [] : [keptUntil(backup, entry)]),
    ];
  });
  const notes = entries.map((entry) => {
    const remarks = entry.manifest ? remarksOn(entry.manifest) : "";
    const all = [remarks, ...markRemarks(entry), drillRemark(drills, entry)];
    return all.filter(Boolean).join("; ") || undefined;
  });
  screen.table(columns, rows, { indent: 2, notes });
}

function deploysOf({ deploys }: Entry): { deploys?: string[]; unsignedDeploys?: string[] } {
  if (deploys === undefined) return {};
  const { signed = [], unsigned } = Object.groupBy(deploys, (mark) =>
    mark.unsigned === true ? "unsigned" : "signed",
  );
  const revisions = (marks: typeof deploys) => marks.map(({ revision }) => revision);
  return {
    deploys: revisions(signed),
    ...(unsigned && { unsignedDeploys: revisions(unsigned) }),
  };
}

function paintState(state: State): string {
  if (state === "complete" || state === "verified") return paint.good(state);
  return state === "legacy" ? paint.faint(state) : paint.uncertain(state);
}
