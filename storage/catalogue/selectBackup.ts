import { ORIGIN_PROBLEMS } from "../../common/contracts/manifestMac.ts";
import { Problem } from "../../common/problem.ts";
import { type AddressNames, ENVIRONMENT_NAMES } from "../address/addressNames.ts";
import { type CatalogueEntry, incomplete, isComplete, latestFirst } from "./catalogueEntry.ts";
import { countingBackups, objectionTo } from "./countingBackups.ts";
import { isRevision, isStamp } from "./objectKeys.ts";

/**
 * Picks the backup to restore.
 * @param entries of one database, as `listBackups` returns them
 * @param wanted `latest`, a stamp such as `2026-11-24T03:15:02`, with or without `Z`, or a day on which there was one alone
 * @param location where was looked, for the error, e.g. `s3://bucket/folder`
 * @param names what the reader called the folder, for the error @default the variables of the agent's container
 * @param limit with `latest`: only of those taken at this time or before, as `notAfter` reads it @default none
 * @throws Problem when there is none, none with this stamp (it names the nearest), or that one is incomplete. `latest` is
 * one of those that count (`countingBackups`); every other complete one is chosen by its own time
 */
export function chooseBackup(
  entries: readonly CatalogueEntry[],
  wanted: string,
  database: string,
  location: string,
  names: Pick<AddressNames, "prefix"> = ENVIRONMENT_NAMES,
  limit?: string,
): CatalogueEntry {
  const complete = entries.filter(isComplete).sort(latestFirst);
  if (wanted === "latest") {
    const counting = countingBackups(entries);
    const [latest] = limit === undefined ? counting : notAfter(counting, limit, location);
    if (latest !== undefined) return latest;
    const left = [
      leftOut(entries.length - complete.length, "without a manifest are incomplete"),
      ...(["suspect", "ahead of time", ...ORIGIN_PROBLEMS] as const).map((why) =>
        leftOut(
          complete.filter((entry) => objectionTo(entry) === why).length,
          `are ${why}, to be chosen by their time only`,
        ),
      ),
    ].join("");
    throw new Problem(
      `no backup of ${database} in ${location}${left}. Take one with the backup command, or check ${names.prefix} and the database's name.`,
    );
  }
  const stamp = wanted.replace(/Z$/, "");
  if (DAY.test(stamp)) return chooseOfDay(complete, stamp, database, location);
  if (!isStamp(stamp)) {
    throw new Problem(
      `"${wanted}" is no time of a backup. Give latest, or a UTC time such as 2026-11-24T03:15:02 from the list.`,
    );
  }
  const exact = complete.find((entry) => entry.stamp === stamp);
  if (exact !== undefined) return exact;
  const broken = entries.find((entry) => entry.stamp === stamp);
  if (broken !== undefined) throw incomplete(broken);
  throw new Problem(
    `no backup of ${database} from ${stamp} in ${location}. ${nearestTo(complete, stamp)}`,
  );
}

const DAY = /^\d{4}-\d\d-\d\d$/;

/** @throws Problem when the day has no backup, or several: it names them, or the nearest */
function chooseOfDay(
  complete: readonly CatalogueEntry[],
  day: string,
  database: string,
  location: string,
): CatalogueEntry {
  const [first, ...others] = complete.filter(({ stamp }) => stamp.startsWith(`${day}T`));
  if (first === undefined) {
    throw new Problem(
      `no backup of ${database} from ${day} in ${location}. ${nearestTo(complete, `${day}T12:00:00`)}`,
    );
  }
  const times = [...new Set([first, ...others].map(({ stamp }) => stamp))];
  if (times.length === 1) return first;
  throw new Problem(
    `on ${day} there are ${times.length} backups of ${database}, so give the time too: ${listed(times)}.`,
  );
}

/** Of hourly ones a sentence holds not all. */
const MOST_TIMES = 12;

function listed(times: readonly string[]): string {
  const more = times.length - MOST_TIMES;
  return times.slice(0, MOST_TIMES).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/** What there is instead, as a sentence. */
function nearestTo(complete: readonly CatalogueEntry[], stamp: string): string {
  const distance = (entry: CatalogueEntry) =>
    Math.abs(Date.parse(`${entry.stamp}Z`) - Date.parse(`${stamp}Z`));
  const byDistance = complete.toSorted((a, b) => distance(a) - distance(b));
  const nearest = [...new Set(byDistance.map((entry) => entry.stamp))].slice(0, 3);
  if (nearest.length === 0) return "There is none at all.";
  return `The nearest ${nearest.length === 1 ? "is" : "are"} ${nearest.join(", ")}.`;
}

const NAMED = 3;

/**
 * Picks the backup that was there before a deploy.
 * @param entries of one database, as `listBackups` returns them
 * @param revision what was deployed, or its beginning
 * @param location where was looked, for the error
 * @throws Problem when no deploy is marked so, or by a mark alone that is not signed, or more than one, also of one
 * revision: each found another state
 */
export function chooseBeforeDeploy<Entry extends CatalogueEntry>(
  entries: readonly Entry[],
  revision: string,
  database: string,
  location: string,
): Entry {
  const option = `--before-deploy ${revision}`;
  if (!isRevision(revision)) {
    throw new Problem(
      `${option} is no revision. Give what was deployed, e.g. a commit of git, or its beginning; list shows them.`,
    );
  }
  const marked = entries
    .filter(isComplete)
    .toSorted(latestFirst)
    .flatMap((entry) => (entry.deploys ?? []).map((mark) => ({ ...mark, entry })));
  const signed = marked.filter(({ unsigned }) => unsigned !== true);
  const matching = (marks: typeof marked) => {
    const exact = marks.filter((mark) => mark.revision === revision);
    return exact.length > 0 ? exact : marks.filter((mark) => mark.revision.startsWith(revision));
  };
  const found = matching(signed);
  const [first] = found;
  const described = (marks: typeof marked) =>
    marks.map((mark) => `${mark.revision} (backup of ${mark.entry.stamp})`).join(", ");
  if (first === undefined) {
    const [planted, ...others] = matching(marked);
    if (planted !== undefined) {
      const more = others.length === 0 ? "" : ` and ${others.length} more`;
      throw new Problem(
        `${option}: the mark ${described([planted])}${more} is not signed with a key that is known here, so whoever may write into the bucket can have put it there. If it is the right backup, give ${planted.entry.stamp} in the place of ${option}.`,
      );
    }
    const last = signed.slice(0, NAMED);
    const hint =
      last.length === 0
        ? "None is marked with a deploy: only those are that beforeDeploy has taken."
        : `The last deploys are ${described(last)}.`;
    throw new Problem(
      `no backup of ${database} in ${location} was taken before a deploy of ${revision}. ${hint}`,
    );
  }
  const revisions = new Set(found.map((mark) => mark.revision));
  if (revisions.size > 1) {
    throw new Problem(
      `${option} is the beginning of several revisions: ${described(found)}. Give more of it.`,
    );
  }
  const stamps = [...new Set(found.map(({ entry }) => entry.stamp))];
  if (stamps.length > 1) {
    throw new Problem(
      `${option}: ${first.revision} was deployed ${stamps.length} times, with backups of ${stamps.join(", ")}. Give one of these times in its place.`,
    );
  }
  return first.entry;
}

function leftOut(count: number, why: string): string {
  return count === 0 ? "" : ` (${count} ${why})`;
}

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
  // 30 February is 2 March to Date.parse.
  const isDay = FORM.test(time) && isStamp(`${time.slice(0, 10)}T00:00:00`);
  const limit = isDay ? Date.parse(zoned.replace(" ", "T")) : Number.NaN;
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
