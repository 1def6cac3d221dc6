import type { Entry } from "../../common/contracts/agentEvents.ts";
import { totalRows } from "../../common/contracts/manifest.ts";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { listAnywhere } from "../backups/bucketListing.ts";
import { judgeAge, type State, stateOf } from "../backups/catalogue.ts";
import { type CopyOption, forPlace } from "../session/copy.ts";
import { forOne } from "../session/databases.ts";
import type { Session } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import {
  ageHours,
  dayAfter,
  formatBytes,
  formatCount,
  formatStamp,
  plural,
} from "../terminal/format.ts";
import { type Column, paint, renderTable } from "../terminal/render.ts";

/** Rows shown without `--all`; the agent reads the manifests of as many. */
const shown = 50;

export interface ListOptions extends CopyOption {
  /** Shows every backup. @default the newest 50 */
  readonly all?: boolean;
}

/**
 * Shows the backups of the database, newest first. Where the container does not tell, for instance because the host is gone,
 * they are looked up in the bucket itself.
 */
export async function list(
  opened: Session,
  stack: StackChoice,
  options: ListOptions,
): Promise<void> {
  const session = forPlace(await forOne(opened), options);
  const { backup, screen } = session;
  const now = Date.now();
  const { entries, seen, reason } = await listAnywhere(session, stack, shown);
  if (reason !== undefined) screen.warn(`looked up in the bucket itself: ${reason}`);
  const verdict = judgeAge(backup, entries, now);
  const { bucket, prefix } = backup.location;
  const location = `s3://${bucket}/${prefix}`;
  screen.line(
    `${paint.strong(backup.database)}   ${location}   ${verdict.ok ? paint.good(verdict.text) : paint.bad(verdict.text)}`,
  );
  const visible = options.all ? entries : entries.slice(0, shown);
  if (visible.length > 0) screen.line();
  for (const line of renderBackups(backup, visible)) screen.line(`  ${line}`);
  const left = entries.length - visible.length;
  if (left > 0) screen.line(`  ${plural(left, "older backup")}: list --all`);
  screen.document({
    database: backup.database,
    location,
    ...(session.ofCopy && { copy: true }),
    rpoHours: backup.rpoHours,
    newest: verdict.newest && {
      stamp: verdict.newest.stamp,
      ageHours: ageHours(verdict.newest.stamp, now),
    },
    withinRpo: verdict.ok,
    seen,
    backups: entries.map((entry) => ({
      stamp: entry.stamp,
      state: stateOf(entry),
      key: entry.key,
      bytes: entry.bytes,
      ...(backup.retentionDays !== undefined && { keptUntil: keptUntil(backup, entry) }),
      manifest: entry.manifest ?? null,
    })),
  });
}

/** The table; `kept until` only where the bucket's rules are ours. */
export function renderBackups(backup: BackupOutputs, entries: readonly Entry[]): string[] {
  if (entries.length === 0) return [];
  const { retentionDays } = backup;
  const columns: Column[] = [
    { title: "taken (UTC)" },
    { title: "size", align: "right" },
    { title: "database", align: "right" },
    { title: "tables", align: "right" },
    { title: "rows", align: "right" },
    { title: "state" },
    ...(retentionDays === undefined ? [] : [{ title: "kept until" }]),
    // Why a suspect one is suspect; a column without a title.
    { title: "" },
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
      manifest?.suspect ?? "",
    ];
  });
  return renderTable(columns, rows);
}

/**
 * The day on which the bucket's rules expire it. The folder of the dump decides; of a suspect one at the latest the day on
 * which its manifest goes, which always lies among the suspect ones.
 */
export function keptUntil(backup: BackupOutputs, entry: Entry): string {
  const { retentionDays = 0, tierDays, location } = backup;
  const doubted = entry.suspect || entry.key.startsWith(`${location.prefix}/suspect/`);
  const folder = doubted ? "daily" : entry.tier;
  return dayAfter(entry.stamp, (folder && tierDays?.[folder]) ?? retentionDays);
}

function paintState(state: State): string {
  if (state === "complete" || state === "verified") return paint.good(state);
  return state === "legacy" ? paint.faint(state) : paint.doubtful(state);
}
