import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { countingBackups } from "../../storage/catalogue/countingBackups.ts";
import type { Tier } from "../../storage/catalogue/objectKeys.ts";

/**
 * The folder of a backup by the calendar in UTC: the first good backup of a month is the monthly one, else the first of
 * an ISO week (from Monday) the weekly one, else it is a daily one. So grandfathers need no right to copy or to delete.
 * @param entries of the same database
 * @param stamp of the backup to be stored
 */
export function chooseTier(entries: readonly CatalogueEntry[], stamp: string): Tier {
  const kept = countingBackups(entries);
  const has = (tiers: readonly Tier[], period: (stamp: string) => string) =>
    kept.some(
      (entry) =>
        entry.tier !== null && tiers.includes(entry.tier) && period(entry.stamp) === period(stamp),
    );
  if (!has(["monthly"], monthOf)) return "monthly";
  // The monthly one outlives the week's, so it stands for it.
  if (!has(["weekly", "monthly"], weekOf)) return "weekly";
  return "daily";
}

function monthOf(stamp: string): string {
  return stamp.slice(0, 7);
}

/** Date of the week's Monday. */
function weekOf(stamp: string): string {
  const date = new Date(`${stamp}Z`);
  date.setUTCDate(date.getUTCDate() - ((date.getUTCDay() + 6) % 7));
  return date.toISOString().slice(0, 10);
}
