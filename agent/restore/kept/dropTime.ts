import { Problem } from "../../../common/problem.ts";

// When a kept database may go stands in its comment: it goes with it under every name, needs no table, and whoever looks with
// \l+ reads it. Its own comment stays in front, and comes back by an undo.
const FORM =
  /\n?\[kamal-postgres-backup: may be dropped after (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\]$/;

const HOUR_MS = 3_600_000;
const LONGEST_DAYS = 3650;

/**
 * Reads how long a replaced database is kept.
 * @param text `7d`, `12h`
 * @returns milliseconds
 * @throws Problem for anything else
 */
export function parseDropAfter(text: string): number {
  const [, count, unit] = /^(\d+)([hd])$/.exec(text) ?? [];
  const hours = Number(count) * (unit === "d" ? 24 : 1);
  if (hours > 0 && hours <= LONGEST_DAYS * 24) return hours * HOUR_MS;
  throw new Problem(
    `--drop-after ${text} must be a number of days or hours, ${LONGEST_DAYS}d at most: 7d or 12h.`,
  );
}

/** The comment with the mark behind it, in whole seconds. */
export function withDropMark(comment: string | null, at: Date): string {
  const mark = `[kamal-postgres-backup: may be dropped after ${at.toISOString().slice(0, 19)}Z]`;
  const own = withoutDropMark(comment);
  return own === null ? mark : `${own}\n${mark}`;
}

/** When the database may go; undefined: nobody has said so. */
export function dropMark(comment: string | null): Date | undefined {
  const time = new Date(FORM.exec(comment ?? "")?.[1] ?? "");
  return Number.isNaN(time.getTime()) ? undefined : time;
}

/** The database's own comment. */
export function withoutDropMark(comment: string | null): string | null {
  return comment?.replace(FORM, "") || null;
}

/** The same as it is reported: ISO 8601 in UTC; null: nobody has said so. */
export function dropTime(comment: string | null): string | null {
  return dropMark(comment)?.toISOString() ?? null;
}
