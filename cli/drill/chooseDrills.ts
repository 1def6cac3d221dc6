import { randomInt } from "node:crypto";
import type { Entry } from "../../common/contracts/agentEvents.ts";
import { Problem } from "../../common/problem.ts";
import { countingBackups, describeObjection } from "../../storage/catalogue/countingBackups.ts";
import { selectBackup } from "../backups/selectBackup.ts";
import type { Session } from "../session/session.ts";

/** Which backups are drilled; nothing: the newest. */
export interface DrillChoice {
  /** Time or day of a backup as `list` shows it, or `latest`; empty: `latest`. */
  readonly time: string;
  /** Any one of those that count. */
  readonly random?: boolean;
  /** The newest of each tier that has one. */
  readonly eachTier?: boolean;
}

/**
 * Chooses the backups to drill.
 * @param entries of one database, newest first
 * @param pick an index below a number @default at random
 * @throws Problem when two choices are made, or there is no such backup, or it may be somebody else's
 */
export function chooseDrills(
  session: Pick<Session, "backup" | "screen">,
  entries: readonly Entry[],
  choice: DrillChoice,
  pick: (below: number) => number = (below) => randomInt(below),
): Entry[] {
  const { time, random, eachTier } = choice;
  requireOne(choice);
  if (random === true || eachTier === true) {
    const counting = countingBackups(entries);
    // The same sentence as without these options.
    if (counting.length === 0) return [selectBackup(session, entries, { wanted: "latest" })];
    if (random === true) return [counting[pick(counting.length)] as Entry];
    const newest = new Map<Entry["tier"], Entry>();
    for (const entry of counting) if (!newest.has(entry.tier)) newest.set(entry.tier, entry);
    return [...newest.values()];
  }
  const entry = selectBackup(session, entries, { wanted: time || "latest" });
  if (entry.originProblem) {
    throw new Problem(
      `the backup of ${entry.stamp} may be somebody else's: ${describeObjection(entry.originProblem)}. Drill another one from the list.`,
    );
  }
  return [entry];
}

function requireOne({ time, random, eachTier }: DrillChoice): void {
  const given = [
    ...(time === "" ? [] : [time]),
    ...(random === true ? ["--random"] : []),
    ...(eachTier === true ? ["--each-tier"] : []),
  ];
  if (given.length < 2) return;
  throw new Problem(
    `${given.join(" and ")} each choose the backup. Give one of them, or none for the newest.`,
  );
}
