import { Problem } from "../../common/problem.ts";
import type { CatalogueEntry } from "./catalogue.ts";

const FORM = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?$/;

/**
 * The backups that were taken at a time or before it.
 * @param time ISO 8601 with date and time; without a zone it is UTC
 * @param location where was looked, for the error
 * @throws Problem when the time cannot be read, or no backup is that old
 */
export function notAfter<Entry extends CatalogueEntry>(
  entries: readonly Entry[],
  time: string,
  location: string,
): Entry[] {
  const zoned = /(Z|[+-]\d\d:\d\d)$/.test(time) ? time : `${time}Z`;
  const limit = FORM.test(time) ? Date.parse(zoned.replace(" ", "T")) : Number.NaN;
  if (Number.isNaN(limit)) {
    throw new Problem(
      `--not-after ${time} is no time. Give date and time, e.g. 2026-11-24T03:15 in UTC, or with a zone: 2026-11-24T04:15+01:00.`,
    );
  }
  const kept = entries.filter(({ stamp }) => Date.parse(`${stamp}Z`) <= limit);
  if (kept.length > 0 || entries.length === 0) return kept;
  const oldest = entries.map(({ stamp }) => stamp).sort()[0];
  throw new Problem(`no backup in ${location} is as old as ${time}: the oldest is of ${oldest}.`);
}
