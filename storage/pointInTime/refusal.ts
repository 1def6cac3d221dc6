import type { Gap, Window } from "../../common/contracts/pointInTime.ts";
import { Problem } from "../../common/problem.ts";

/** Of many windows the newest are named. */
const NAMED = 4;

/** Moments of the windows joined where they overlap, oldest first. */
export function joined(
  windows: readonly Pick<Window, "from" | "to">[],
): Pick<Window, "from" | "to">[] {
  const found: { from: string; to: string }[] = [];
  for (const { from, to } of windows.toSorted((a, b) => (a.from < b.from ? -1 : 1))) {
    const last = found.at(-1);
    if (last !== undefined && from <= last.to) last.to = [last.to, to].toSorted().at(-1) ?? to;
    else found.push({ from, to });
  }
  return found;
}

/** Why a moment cannot be recovered, with what can. @param moment ISO 8601 in UTC, or `latest` */
export function notReachable(
  moment: string,
  { windows, gaps }: { readonly windows: readonly Window[]; readonly gaps: readonly Gap[] },
): Problem {
  const stretches = joined(windows);
  const last = stretches.at(-1);
  const [first] = stretches;
  const what = moment === "latest" ? "--to latest" : `${momentText(moment)} UTC`;
  if (first === undefined || last === undefined) {
    return new Problem(
      `${what} cannot be recovered: the bucket holds no base backup with its WAL. The container takes the first one when point-in-time recovery is switched on (pulumi up); status shows why it has not.`,
    );
  }
  const where =
    moment > last.to
      ? "lies after the newest moment that is stored"
      : moment < first.from
        ? "lies before the oldest moment that is stored"
        : "lies in a hole";
  const [gap] = gaps;
  const why =
    gap === undefined || moment > last.to || moment < first.from
      ? ""
      : ` WAL is missing: ${gap.first}${gap.segments === 1 ? "" : ` to ${gap.last}`}.`;
  const shown = stretches.slice(-NAMED).map(windowText).join("; ");
  const more = stretches.length > NAMED ? `, and ${stretches.length - NAMED} older` : "";
  return new Problem(
    `${what} ${where}.${why} Any second can be recovered from ${shown}${more}. Give one of them with --to.`,
  );
}

/** `2026-11-14 02:03:11 to 2026-11-28 10:17:05 UTC` */
export function windowText({ from, to }: Pick<Window, "from" | "to">): string {
  return `${momentText(from)} to ${momentText(to)} UTC`;
}

/** `2026-11-28 10:15:00`, and the fraction of the second where there is one. */
export function momentText(moment: string): string {
  return moment.replace("T", " ").replace(/(\.000)?Z$/, "");
}
