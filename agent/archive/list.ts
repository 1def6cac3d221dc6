import type { DrillRecord } from "../../common/contracts/drillRecord.ts";
import { remarksOn } from "../../common/contracts/leftOut.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { formatBytes } from "../../common/format.ts";
import { Problem } from "../../common/problem.ts";
import { type CatalogueEntry, isComplete } from "../../storage/catalogue/catalogueEntry.ts";
import { aheadOfTimeNotice, isAheadOfTime } from "../../storage/catalogue/countingBackups.ts";
import { countingDrills } from "../../storage/catalogue/drillRecords.ts";
import { listJudged } from "../../storage/catalogue/judgeOrigin.ts";
import { markRemarks } from "../../storage/catalogue/marks.ts";
import { withManifests } from "../../storage/catalogue/readManifest.ts";
import type { AgentContext } from "../runtime/context.ts";
import { readLastFailure } from "../runtime/healthRecord.ts";
import { trustOf } from "./trust.ts";

/** Manifests are read of so many of the latest backups: as many as the command line shows at first. */
const WITH_MANIFEST = 50;

/**
 * Lists the backups of one database, newest first. Incomplete and suspect ones are marked as such.
 * @param stateFolder where the result of the last run is; absent: outside a container
 */
export async function list(
  { store, settings, report }: Pick<AgentContext, "store" | "settings" | "report">,
  stateFolder = process.env["AGENT_STATE_DIR"],
): Promise<void> {
  const { database } = settings.postgres;
  const judged = await listJudged(store, database, trustOf(settings), { enough: WITH_MANIFEST });
  const backups = await withManifests(store, judged, WITH_MANIFEST);
  const drills = await drillsOf({ store, settings, report });
  report.event({
    event: "list",
    backups,
    lastFailure: readLastFailure(stateFolder),
    ...(drills && { drills }),
  });
  const { bucket, prefix } = store.address;
  if (backups.length === 0) {
    report.line(`No backup of ${database} in s3://${bucket}/${prefix}.`);
    return;
  }
  report.line(`Backups of ${database} in s3://${bucket}/${prefix}, newest first:`);
  for (const entry of backups) {
    const remark = remarkOn(entry);
    report.line(
      `  ${entry.stamp}  ${formatBytes(entry.bytes).padStart(8)}${remark && `  ${remark}`}`,
    );
  }
  for (const { notice } of backups) if (notice) report.warn(notice);
  const ahead = aheadOfTimeNotice(backups);
  if (ahead !== undefined) report.warn(ahead);
}

/** Without them the list is as good as it was before there were any. */
async function drillsOf({
  store,
  settings,
  report,
}: Pick<AgentContext, "store" | "settings" | "report">): Promise<DrillRecord[] | undefined> {
  try {
    return await countingDrills(store, settings.postgres.database, trustOf(settings).keys);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    report.warn(`the records of drills could not be read: ${error.message}`);
    return undefined;
  }
}

function remarkOn(entry: CatalogueEntry & { readonly manifest: Manifest | null }): string {
  if (!isComplete(entry)) return "incomplete: no manifest";
  return [
    isAheadOfTime(entry) ? "ahead of time" : "",
    entry.originProblem,
    entry.overwritten === true ? "overwritten" : "",
    stateOf(entry),
    ...markRemarks(entry),
  ]
    .filter(Boolean)
    .join(", ");
}

function stateOf(entry: CatalogueEntry & { readonly manifest: Manifest | null }): string {
  if (entry.kind === "legacy") return "by the old image: no manifest";
  const remarks = entry.manifest === null ? "" : remarksOn(entry.manifest);
  if (entry.suspect) return remarks === "" ? "suspect" : `suspect: ${remarks}`;
  return [entry.verifiedKey === null ? "" : "verified", remarks].filter(Boolean).join("; ");
}
