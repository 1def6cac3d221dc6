import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { isAheadOfTime, passedOver } from "../../storage/catalogue/countingBackups.ts";
import type { Report } from "../runtime/reporter.ts";

/**
 * Says what a reader should know of the backup that was chosen: what was passed over for it, and what is odd about it.
 * @param entries of the same database
 * @param wanted `latest`, or a time
 */
export function warnOfChoice(
  report: Report,
  entries: readonly CatalogueEntry[],
  chosen: CatalogueEntry,
  wanted: string,
): void {
  if (wanted === "latest")
    for (const sentence of passedOver(entries, chosen)) report.warn(sentence);
  if (isAheadOfTime(chosen)) {
    report.warn(
      `the stamp ${chosen.stamp} is ahead of time: the service stored the backup at ${chosen.storedAt.slice(0, 19)}. A clock was wrong, or somebody else has put it there.`,
    );
  }
  if (chosen.notice) report.warn(chosen.notice);
}
