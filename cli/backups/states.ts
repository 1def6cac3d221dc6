import type { Entry } from "../../common/contracts/agentEvents.ts";
import type { OriginProblem } from "../../common/contracts/manifestMac.ts";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { type CatalogueEntry, isComplete } from "../../storage/catalogue/catalogueEntry.ts";
import { isAheadOfTime } from "../../storage/catalogue/countingBackups.ts";
import { dayAfter } from "../terminal/format.ts";

/**
 * `complete`: with manifest. `verified`: and read back whole. `suspect`: looked wrong when it was taken. `no manifest`: never
 * finished. `legacy`: made by the old image, which writes none. `ahead of time`: its stamp is later than its storing.
 * `overwritten`: its dump was stored after its manifest. A `OriginProblem`: it may be somebody else's.
 */
export type State =
  | "complete"
  | "verified"
  | "suspect"
  | "no manifest"
  | "legacy"
  | "ahead of time"
  | "overwritten"
  | OriginProblem;

export function stateOf(entry: CatalogueEntry): State {
  if (!isComplete(entry)) return "no manifest";
  if (isAheadOfTime(entry)) return "ahead of time";
  if (entry.originProblem && entry.kind === "ours") return entry.originProblem;
  if (entry.kind === "legacy") return "legacy";
  if (entry.suspect) return "suspect";
  // Neither its manifest nor a mark of verification speaks of the bytes that are there now.
  if (entry.overwritten === true) return "overwritten";
  return entry.verifiedKey === null ? "complete" : "verified";
}

/**
 * The day on which the bucket's rules expire it. The folder of the dump decides; of a suspect one at the latest the day on
 * which its manifest goes, which always lies in the suspect folder.
 */
export function keptUntil(backup: BackupOutputs, entry: Entry): string {
  const { retentionDays = 0, tierDays, location } = backup;
  const suspect = entry.suspect || entry.key.startsWith(`${location.prefix}/suspect/`);
  const folder = suspect ? "daily" : entry.tier;
  return dayAfter(entry.stamp, (folder && tierDays?.[folder]) ?? retentionDays);
}
