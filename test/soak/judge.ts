/** What is wrong with a round, from what was seen of it. Pure: the world is looked at elsewhere. */
import { faultOf } from "./faults.ts";
import type { Round } from "./rounds.ts";

/** A good backup that the run has left in a place, and what is wrong with it. */
export interface Stored {
  readonly place: string;
  readonly database: string;
  readonly suspect: boolean;
  readonly faults: readonly string[];
}

/** What a database's name stands for: as before the restore, wholly what the backup holds, or something else. */
export type Live = "old" | "new" | "neither";

/** How a command ended. */
export interface Ended {
  /** Null: not within the limit. */
  readonly code: number | null;
  readonly sentence: string;
}

/** Names of what lies about, by its kind. */
export interface Left {
  /** Dumps and roles without a manifest, unfinished uploads: new ones of this round. */
  readonly orphans: readonly string[];
  readonly uploads: readonly string[];
  /** Databases that are neither the live ones nor kept ones. */
  readonly databases: readonly string[];
  readonly scratch: readonly string[];
  /** Advisory locks of ours. */
  readonly locks: readonly string[];
}

interface SeenOfAny {
  readonly hit: boolean;
  readonly ended: Ended;
  /** Standard error of the run, which has notices too. */
  readonly stderr: string;
  readonly next: Ended;
  readonly after: Left;
  readonly afterNext: Left;
}

export interface SeenOfBackup extends SeenOfAny {
  /** Where each database had to be stored. */
  readonly places: readonly string[];
  readonly stored: readonly Stored[];
  readonly nextStored: readonly Stored[];
  /** Null: it was not verified. */
  readonly verified: Ended | null;
}

export interface SeenOfRestore extends SeenOfAny {
  readonly live: Live;
  /** How often an application that connects again and again met no database of the live name. */
  readonly refusals: number;
  /** The old database is whole beside the new one. Null where nothing was replaced. */
  readonly kept: boolean | null;
  /** Null where there was nothing to undo. */
  readonly undone: (Ended & { readonly live: Live }) | null;
  readonly nextLive: Live;
}

/** A wrong thing, with its kind as the table counts it. */
export interface Wrong {
  readonly kind: "false success" | "lost" | "next run" | "left" | "sentence" | "no end" | "refused";
  readonly what: string;
}

/** As a shell reports a SIGKILL: nobody can ask such a run for a sentence. */
const KILLED = 137;
/** Docker could not start the run, in a container on its way out: there is nobody to ask either. */
export const NOT_STARTED = 126;
/** Nobody can say what such a run has left: it had no end, was killed, or never began. */
const CANNOT_ANSWER: readonly (number | null)[] = [null, KILLED, NOT_STARTED];

export function judgeBackup(round: Round, seen: SeenOfBackup): Wrong[] {
  const { ended, stored } = seen;
  const wrong: Wrong[] = [];
  for (const { place, database, faults } of stored.concat(seen.nextStored)) {
    for (const fault of faults) {
      wrong.push({ kind: "lost", what: `${database} in ${place}: ${fault}` });
    }
  }
  const missing = missingOf(round, seen.places, stored);
  if (ended.code === 0 && missing.length > 0) {
    wrong.push({
      kind: "false success",
      what: `exit 0 without a good backup of ${missing.join(", ")}`,
    });
  }
  const nothing = /nothing was (?:stored|changed)/i.test(ended.sentence);
  const single = round.databases.length === 1 && seen.places.length === 1;
  const claimsAll = /nothing was stored or changed/i.test(ended.sentence);
  if ((single ? nothing : claimsAll) && stored.some(({ suspect }) => !suspect)) {
    wrong.push({
      kind: "sentence",
      what: `"${ended.sentence}", and there is ${stored.map((each) => `${each.database} in ${each.place}`).join(", ")}`,
    });
  }
  wrong.push(...contradicted(round, seen.places, ended, stored));
  const nextMissing = missingOf(round, seen.places, seen.nextStored);
  if (seen.next.code === 0 && nextMissing.length > 0) {
    wrong.push({
      kind: "false success",
      what: `the next run: exit 0 without a good backup of ${nextMissing.join(", ")}`,
    });
  }
  if (seen.verified !== null && seen.verified.code !== 0) {
    wrong.push({ kind: "lost", what: `verify: ${told(seen.verified)}` });
  }
  return [...wrong, ...judgeEnd(seen), ...judgeLeft(round, seen)];
}

export function judgeRestore(round: Round, seen: SeenOfRestore): Wrong[] {
  const { ended, live } = seen;
  const wrong: Wrong[] = [];
  if (seen.refusals > 1) {
    wrong.push({ kind: "refused", what: `the live name was refused ${seen.refusals} times` });
  }
  if (live === "neither") {
    wrong.push({ kind: "lost", what: "the live database is neither the old one nor the backup" });
  }
  if (ended.code === 0 && live === "old") {
    wrong.push({ kind: "false success", what: "exit 0, and the live database is the old one" });
  }
  if (live === "new" && ended.code !== 0 && ended.code !== KILLED && !saysRestored(seen)) {
    wrong.push({
      kind: "sentence",
      what: `exit ${ended.code} "${ended.sentence}", and the live database is the restored one`,
    });
  }
  if (live === "new" && seen.kept === false) {
    wrong.push({ kind: "lost", what: "the old database is not beside the restored one" });
  }
  if (seen.undone !== null && (seen.undone.code !== 0 || seen.undone.live !== "old")) {
    wrong.push({ kind: "lost", what: `undo: ${told(seen.undone)}, live is ${seen.undone.live}` });
  }
  if (seen.next.code === 0 && seen.nextLive !== "new") {
    wrong.push({
      kind: "false success",
      what: `the next restore: exit 0, live is ${seen.nextLive}`,
    });
  }
  return [...wrong, ...judgeEnd(seen), ...judgeLeft(round, seen)];
}

/** What a failed run says of single databases, against what the first bucket holds of them. */
function contradicted(
  { databases }: Round,
  places: readonly string[],
  { sentence }: Ended,
  stored: readonly Stored[],
): Wrong[] {
  const single = databases.length === 1 && places.length === 1;
  return databases.flatMap((database) => {
    const isThere = stored.some(
      (each) => each.place === "first" && each.database === database && !each.suspect,
    );
    const denies = sentence.includes(`"${database}" was not stored`);
    const uncounted =
      single && /does not count/.test(sentence) && !/suspect|list shows/.test(sentence);
    const claims = sentence.includes(`"${database}" is complete`);
    if (isThere ? !denies && !uncounted : !claims) return [];
    const found = isThere ? "there" : "not there";
    return [{ kind: "sentence", what: `"${sentence}", and ${database} is ${found}` } as const];
  });
}

/** What a signal in the last moment may say: that the restored database is in place. */
function saysRestored({ ended }: SeenOfRestore): boolean {
  return (
    !/nothing was (?:stored or )?changed|was not touched|keeps its old content/i.test(
      ended.sentence,
    ) && /restored|swapped|took its place|in its place/i.test(ended.sentence)
  );
}

function missingOf(round: Round, places: readonly string[], stored: readonly Stored[]): string[] {
  return places.flatMap((place) =>
    round.databases
      .filter(
        (database) =>
          !stored.some(
            (each) => each.place === place && each.database === database && !each.suspect,
          ),
      )
      .map((database) => `${database} in ${place}`),
  );
}

function judgeEnd({ ended, next }: SeenOfAny): Wrong[] {
  const wrong: Wrong[] = [];
  if (ended.code === null) wrong.push({ kind: "no end", what: "the run did not end" });
  const failed = ended.code !== null && ![0, KILLED, NOT_STARTED].includes(ended.code);
  if (failed && !/\S.*[.)]$/s.test(ended.sentence)) {
    wrong.push({
      kind: "sentence",
      what: `exit ${ended.code} without a sentence: "${ended.sentence}"`,
    });
  }
  if (failed && /^unexpected|\bat .*\.(?:ts|mjs):\d/.test(ended.sentence)) {
    wrong.push({ kind: "sentence", what: `exit ${ended.code}: "${ended.sentence}"` });
  }
  if (next.code !== 0) wrong.push({ kind: "next run", what: told(next) });
  return wrong;
}

/**
 * After the next run nothing may be left on the server or the disk. In the bucket a run takes away what it began, where it lives
 * and the service answers; what a killed run has left there is the bucket's own rule's, and only counted.
 */
function judgeLeft(round: Round, { ended, stderr, after, afterNext }: SeenOfAny): Wrong[] {
  const wrong: Wrong[] = [];
  for (const kind of ["databases", "scratch", "locks"] as const) {
    for (const name of afterNext[kind]) wrong.push({ kind: "left", what: `${kind}: ${name}` });
  }
  if (faultOf(round.fault).cleansUp) {
    for (const upload of after.uploads) {
      wrong.push({
        kind: "left",
        what: `an unfinished upload of a run that was not killed: ${upload}`,
      });
    }
    const said = `${ended.sentence} ${stderr}`;
    for (const name of [...after.orphans, ...after.databases]) {
      if (said.includes(name) || CANNOT_ANSWER.includes(ended.code)) continue;
      wrong.push({ kind: "left", what: `not named by a run that was not killed: ${name}` });
    }
  }
  return wrong;
}

const told = ({ code, sentence }: Ended) =>
  code === null ? "no end" : `exit ${code} ${sentence}`.trim();
