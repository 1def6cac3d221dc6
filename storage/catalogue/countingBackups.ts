import type { OriginProblem } from "../../common/contracts/manifestMac.ts";
import { type CatalogueEntry, isComplete, latestFirst } from "./catalogueEntry.ts";

/**
 * How far the clock of a database and that of the service may be apart. AWS itself refuses requests that are signed more
 * than 15 minutes off (RequestTimeTooSkewed); five are more than any clock that is kept by NTP needs.
 */
export const CLOCK_TOLERANCE_MS = 5 * 60_000;

/** The old image wrote the local time of its container, whose zone nobody knows: UTC+14 is the furthest ahead. */
const LEGACY_ZONE_MS = 14 * 3_600_000;

/** Whether the stamp is later than the service's own time of storing: it comes from a clock that was ahead, or was made up. */
export function isAheadOfTime({
  stamp,
  storedAt,
  kind,
}: Pick<CatalogueEntry, "stamp" | "storedAt" | "kind">): boolean {
  const tolerance = CLOCK_TOLERANCE_MS + (kind === "legacy" ? LEGACY_ZONE_MS : 0);
  // Written this way round so that a text that is no time counts as ahead.
  return !(Date.parse(`${stamp}Z`) <= Date.parse(storedAt) + tolerance);
}

/** Why an entry does not count as a backup; null: it does, as far as can be said of it alone. */
export type Objection = "incomplete" | "ahead of time" | "suspect" | OriginProblem;

/** What speaks against an entry by itself. */
export function objectionTo(entry: CatalogueEntry): Objection | null {
  if (!isComplete(entry)) return "incomplete";
  if (isAheadOfTime(entry)) return "ahead of time";
  if (entry.suspect) return "suspect";
  return entry.originProblem ?? null;
}

/**
 * The backups that count, latest first: the one answer for all that asks which backup is the latest, how old it is, whether
 * a copy is due, what may expire, and with what the next one is compared. A stamp is what one clock claims, so one that is
 * ahead of time decides nothing. The old image's have no manifest, and whoever may write can add one: they count only
 * while there is none of ours.
 * @param entries of one database
 */
export function countingBackups<Entry extends CatalogueEntry>(entries: readonly Entry[]): Entry[] {
  const good = entries.filter((entry) => objectionTo(entry) === null);
  const ours = good.filter(({ kind }) => kind === "ours");
  return (ours.length > 0 ? ours : good).toSorted(latestFirst);
}

const NAMED = 3;

/**
 * Which complete backups with a later stamp were passed over for this one, and why; a sentence for each reason.
 * @param entries of one database
 */
export function passedOver(
  entries: readonly CatalogueEntry[],
  chosen: Pick<CatalogueEntry, "stamp">,
): string[] {
  const counting = new Set(countingBackups(entries));
  const later = entries.filter((entry) => entry.stamp > chosen.stamp && isComplete(entry));
  const by = Map.groupBy(
    later.filter((entry) => !counting.has(entry)).toSorted(latestFirst),
    (entry) => objectionTo(entry) ?? "legacy",
  );
  return [...by].map(([why, found]) => {
    const names = found.slice(0, NAMED).map(nameOf).join(", ");
    const more = found.length > NAMED ? ` and ${found.length - NAMED} more` : "";
    const word = needsAcceptance({ originProblem: found[0]?.originProblem })
      ? ` with ${ACCEPT_ORIGIN}`
      : "";
    return `passed over ${names}${more}: ${REASONS[why]}. By its exact time it can be restored${word}.`;
  });
}

/** Why the list has entries that are ahead of time, for whoever backs up or lists; undefined: it has none. */
export function aheadOfTimeNotice(entries: readonly CatalogueEntry[]): string | undefined {
  const ahead = entries.filter((entry) => isComplete(entry) && isAheadOfTime(entry));
  if (ahead.length === 0) return undefined;
  const names = ahead.toSorted(latestFirst).slice(0, NAMED).map(nameOf).join(", ");
  const more = ahead.length > NAMED ? ` and ${ahead.length - NAMED} more` : "";
  return `${names}${more}: ${REASONS["ahead of time"]}, so it does not count. It was taken while a clock was wrong, or was put there by somebody else.`;
}

/** The word without which nothing is restored that may be somebody else's. */
export const ACCEPT_ORIGIN = "--accept-origin";

/** Whether a backup is restored only with that word. A replay has the bytes of a true one. */
export function needsAcceptance({ originProblem }: Pick<CatalogueEntry, "originProblem">): boolean {
  return typeof originProblem === "string" && originProblem !== "replay";
}

/** Why, as the end of a sentence. */
export function describeObjection(why: Objection | "legacy"): string {
  return REASONS[why];
}

const REASONS: Readonly<Record<Objection | "legacy", string>> = {
  incomplete: "its manifest is missing",
  "ahead of time": "its stamp is ahead of time, later than when it was stored",
  suspect: "it is suspect",
  unsigned:
    "its manifest is not signed, though backups here are, so whoever may write can have put it there",
  "wrongly signed": "its signature is wrong: the manifest was changed or made up",
  "signed with an unknown key": "it is signed with a key that is not known here",
  "unreadable manifest": "its manifest cannot be read, so it is not known who has signed it",
  "in clear": "it is not encrypted, although the settings encrypt",
  replay: "it has the same bytes as one that was stored before it, which two backups never have",
  legacy: "it was written by the old image, without a manifest, and there are backups with one",
};

function nameOf(entry: CatalogueEntry): string {
  return isAheadOfTime(entry)
    ? `${entry.stamp} (stored ${entry.storedAt.slice(0, 19)})`
    : entry.stamp;
}
