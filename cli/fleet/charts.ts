import type { DrillRecord } from "../../common/contracts/drillRecord.ts";
import { formatBytes } from "../../common/format.ts";
import { isGood } from "../../storage/catalogue/catalogueEntry.ts";
import { objectionTo } from "../../storage/catalogue/countingBackups.ts";
import { formatDuration, formatStamp, plural, stampTime } from "../terminal/format.ts";
import type { JudgedDatabase } from "./judge.ts";
import { html, type Markup } from "./markup.ts";

/** Units of a chart. Its width follows the page; so no text stands in it, which would shrink with it. */
const WIDE = 720;
const DAY_MS = 86_400_000;
/** A chart of more would be a solid block. */
const MOST_MARKS = 400;
const MOST_BARS = 60;

/** A picture that is also said in words, for whoever does not see it. */
function chart(title: string, height: number, shapes: readonly Markup[], under: Markup): Markup {
  return html`<figure>
<svg viewBox="0 0 ${WIDE} ${height}" role="img" preserveAspectRatio="none"><title>${title}</title>${shapes}</svg>
<figcaption>${under}</figcaption>
</figure>
`;
}

/** Backups above, drills below, and red where the newest one was older than the RPO. */
export function timeline(
  { database, entries, drills }: JudgedDatabase,
  rpoHours: number,
  now: number,
): Markup {
  const backups = entries.slice(0, MOST_MARKS);
  const times = [...backups.map(({ stamp }) => stampTime(stamp)), ...drills.map(startOf)];
  const from = Math.min(now - 7 * DAY_MS, ...times);
  const x = (time: number) => round(6 + ((time - from) / (now - from)) * (WIDE - 12));
  const good = backups
    .filter((entry) => objectionTo(entry) === null)
    .map(({ stamp }) => stampTime(stamp));
  const gaps = gapsOf(good, rpoHours * 3_600_000, now);
  const shapes = [
    ...gaps.map(
      ([start, end]) =>
        html`<rect class="gap" x="${x(start)}" y="4" width="${Math.max(1, round(x(end) - x(start)))}" height="24"/>`,
    ),
    html`<line class="axis" x1="0" y1="34" x2="${WIDE}" y2="34"/>`,
    ...backups.map((entry) => {
      const kind = isGood(entry) && objectionTo(entry) === null ? "mark" : "bad";
      return html`<rect class="${kind}" x="${round(x(stampTime(entry.stamp)) - 1.5)}" y="8" width="3" height="16"/>`;
    }),
    ...drills.map((drill) => {
      const at = x(startOf(drill));
      return html`<path class="${classOf(drill)}" d="M${at} 38l6 8-6 8-6-8z"/>`;
    }),
  ];
  const said = [
    plural(backups.length, "backup"),
    plural(drills.length, "drill"),
    ...(gaps.length === 0 ? [] : [`${plural(gaps.length, "gap")} longer than the RPO`]),
  ].join(", ");
  const under = html`<span>${day(from)}</span><span>${said}</span><span>now</span>`;
  return chart(`Timeline of ${database}: ${said}`, 58, shapes, under);
}

/** A bar for each backup that counts, oldest first. */
export function sizes(database: string, bytes: readonly number[]): Markup {
  const shown = bytes.slice(-MOST_BARS);
  const largest = Math.max(...shown, 1);
  const under = html`<span>size of the last ${plural(shown.length, "backup")}</span><span>largest ${formatBytes(largest)}</span>`;
  const title = `Sizes of ${database}: ${formatBytes(shown[0] ?? 0)} to ${formatBytes(shown.at(-1) ?? 0)}`;
  return chart(
    title,
    60,
    bars(shown, largest, () => "mark"),
    under,
  );
}

/** A bar for each drill that restored, oldest first, against the declared objective. */
export function restoreTimes(database: string, drills: readonly DrillRecord[]): Markup {
  const measured = drills.filter(({ loadMs }) => loadMs !== null).toReversed();
  const [newest] = measured.toReversed();
  const rto = newest?.rtoMs ?? undefined;
  const largest = Math.max(...measured.map(({ totalMs }) => totalMs), rto ?? 0, 1);
  const line =
    rto === undefined
      ? []
      : [
          html`<line class="limit" x1="0" y1="${round(60 - (rto / largest) * 56)}" x2="${WIDE}" y2="${round(60 - (rto / largest) * 56)}"/>`,
        ];
  const objective = rto === undefined ? "" : `, declared RTO ${formatDuration(rto)}`;
  const last = newest === undefined ? "" : `last ${formatDuration(newest.totalMs)}${objective}`;
  const under = html`<span>restore time in drills</span><span>${last}</span>`;
  const shapes = bars(
    measured.map(({ totalMs }) => totalMs),
    largest,
    (i) => classOf(measured[i] as DrillRecord),
  );
  return chart(`Restore times of ${database}: ${last}`, 60, [...shapes, ...line], under);
}

function bars(values: readonly number[], largest: number, kind: (i: number) => string): Markup[] {
  const room = WIDE / Math.max(values.length, 12);
  return values.map((value, i) => {
    const height = Math.max(1, round((value / largest) * 56));
    return html`<rect class="${kind(i)}" x="${round(i * room + room * 0.15)}" y="${round(60 - height)}" width="${round(room * 0.7)}" height="${height}"/>`;
  });
}

/**
 * Stretches in which the newest good backup was older than the RPO, each with its begin and end.
 * @param times of good backups
 */
export function gapsOf(
  times: readonly number[],
  rpoMs: number,
  now: number,
): readonly (readonly [from: number, to: number])[] {
  const ordered = times.toSorted((a, b) => a - b);
  return ordered.flatMap((time, i) => {
    const next = ordered[i + 1] ?? now;
    return next - time > rpoMs ? [[time + rpoMs, next] as const] : [];
  });
}

function classOf({ verdict }: DrillRecord): string {
  return { passed: "good", failed: "bad", couldNotRun: "uncertain" }[verdict];
}

function startOf({ startedAt }: DrillRecord): number {
  return Date.parse(startedAt);
}

function day(time: number): string {
  return formatStamp(new Date(time).toISOString().slice(0, 10));
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
