import type { Reachable } from "../../common/contracts/pointInTime.ts";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { formatBytes } from "../../common/format.ts";
import { readSchedule } from "../../common/schedule/cron.ts";
import { rhythmOf } from "../../common/schedule/rhythm.ts";
import { joined, momentText, windowText } from "../../storage/pointInTime/refusal.ts";
import type { Difference } from "../stack/differences.ts";
import { formatAge, plural } from "../terminal/format.ts";

type Declared = NonNullable<BackupOutputs["pointInTime"]>;

/** The agent marks its life every five minutes, so two marks may be missing before somebody is told. */
const LEAST_SILENCE_MS = 15 * 60_000;
/** A base that failed is tried again after an hour and then daily. */
const RETRY_MS = 24 * 3_600_000;

/** What is known of the recovery to any second, judged by what is declared. */
export interface JudgedReach {
  /** `any second from 2026-11-14 02:03:11 to 2026-11-28 10:17:05 UTC (4 s ago), server holds 12 MB of 4 GB` */
  readonly text: string;
  /** All is as it was declared. */
  readonly isWell: boolean;
  /** What is not, each a row of `drift`. */
  readonly differences: readonly Difference[];
}

/** @param container whose log tells why something is late */
export function judgeReach(
  declared: Declared,
  found: Reachable,
  container: string,
  now: number,
): JudgedReach {
  const { alive, newestBase, gaps } = found;
  const last = joined(found.windows).at(-1);
  const remedy = `see why: docker logs ${container}`;
  const row = (subject: string, declared: string, found: string): Difference => {
    return { plane: "data", subject, declared, found, remedy };
  };
  const differences: Difference[] = [];
  const silenceMs = Math.max(3 * declared.rpoSeconds * 1000, LEAST_SILENCE_MS);
  const newest = [alive?.time, last?.to]
    .filter((time) => time !== undefined)
    .toSorted()
    .at(-1);
  const ageMs = newest === undefined ? Number.POSITIVE_INFINITY : now - Date.parse(newest);
  if (ageMs > silenceMs) {
    const age = newest === undefined ? "none" : `${formatAge(ageMs)} old`;
    differences.push(row("newest WAL", `RPO ${declared.rpoSeconds} s`, age));
  }
  const schedule = readSchedule(declared.baseSchedule);
  // Whoever declared it has checked it.
  const gapMs = "fault" in schedule ? Number.POSITIVE_INFINITY : rhythmOf(schedule).gapMs;
  const baseMs =
    newestBase === null ? Number.POSITIVE_INFINITY : now - Date.parse(newestBase.endedAt);
  if (baseMs > gapMs + RETRY_MS) {
    const age = newestBase === null ? "none" : `${formatAge(baseMs)} old`;
    differences.push(row("newest base backup", `every ${formatAge(gapMs)}`, age));
  }
  for (const { first, last: end, segments } of gaps) {
    differences.push({
      ...row(
        "WAL",
        "without a gap",
        `${plural(segments, "segment")} missing: ${first}${segments === 1 ? "" : ` to ${end}`}`,
      ),
      remedy:
        "no moment from there to the next base backup can be recovered; it goes when the bucket's rules expire what lies before it",
    });
  }
  return { text: textOf(found, now), isWell: differences.length === 0, differences };
}

function textOf({ windows, alive }: Reachable, now: number): string {
  const stretches = joined(windows);
  const last = stretches.at(-1);
  const held =
    alive === null
      ? ""
      : `, server holds ${formatBytes(alive.heldBytes)}${alive.boundBytes === null ? "" : ` of ${formatBytes(alive.boundBytes)}`}`;
  if (last === undefined) return `no moment can be recovered yet${held}`;
  const seconds = (time: string) => momentText(time).slice(0, 19);
  const more = stretches.length > 1 ? `, besides ${stretches.length - 1} earlier` : "";
  return `any second from ${seconds(last.from)} to ${seconds(last.to)} UTC (${formatAge(now - Date.parse(last.to))} ago)${more}${held}`;
}

/** A line for each stretch of moments, and for each gap. */
export function reachLines({ windows, gaps }: Pick<Reachable, "windows" | "gaps">): string[] {
  return [
    ...joined(windows).map((window) => `any second from ${windowText(window)}`),
    ...(windows.length === 0 ? ["no moment can be recovered yet"] : []),
    ...gaps.map(
      ({ first, last, segments }) =>
        `WAL is missing: ${first}${segments === 1 ? "" : ` to ${last}`}`,
    ),
  ];
}
