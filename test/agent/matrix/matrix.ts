/** Where each database of the matrix is restored, and what has to be true then. */
import type { Outcome } from "../world.ts";
import type { RichDatabase } from "./databases.ts";
import {
  differences,
  OF_DATABASE,
  otherOwners,
  type Picture,
  shown,
  unannounced,
} from "./picture.ts";
import type { Side } from "./side.ts";

/** A server, and the agent that works on it. */
export interface Place {
  readonly side: Side;
  /** Its bootstrap superuser. */
  readonly user: string;
  /** @param as another role than the superuser, with its password */
  agent(database: string, args: readonly string[], as?: Role): Promise<Outcome>;
}

export interface Role {
  readonly user: string;
  readonly password: string;
}

/** The application's role: it owns one of the databases, may make databases, and is no superuser. */
export const APP: Role = { user: "app", password: "password-of-app" };

/** What a restore has named as not restored, wherever: notices, the list of its event, statements that failed. */
function namedBy({ stderr, events }: Outcome): string[] {
  const restored = events.find(({ event }) => event === "restored");
  const listed =
    restored?.event === "restored"
      ? [
          ...restored.notRestored,
          ...restored.differences,
          ...restored.failed.map(({ entry, statement }) => `${entry} ${statement}`),
        ]
      : [];
  return [
    ...listed,
    ...stderr.split("\n").filter((line) => /^not (?:restored|carried)/i.test(line)),
  ];
}

const tailOf = ({ code, stdout, stderr }: Outcome) =>
  `exit ${code} ${`${stdout}${stderr}`.slice(-1_000)}`;

/**
 * Restores the newest backup in the place of whatever is there, and holds it against the original.
 * @param options `--globals` where the server lacks the roles
 * @returns what is wrong, each with where it was found; empty when everything is equal
 */
export async function restoreWhole(
  place: Place,
  { name }: RichDatabase,
  before: Picture,
  ...options: readonly string[]
): Promise<string[]> {
  const outcome = await place.agent(name, ["restore", "latest", "--yes", "--json", ...options]);
  const told = (what: string) => `${name} on the server of ${place.user}: ${what}`;
  if (outcome.code !== 0) return [told(tailOf(outcome))];
  const after = await place.side.picture(name);
  return [
    ...differences(before, after).map((each) => told(shown(each))),
    ...otherOwners(before, after).map((each) => told(`another owner: ${each}`)),
  ];
}

/**
 * The same on a server that has another superuser: whole, or refused with a sentence because the old superuser owns what only a
 * superuser may own; then without owners and grants. Whatever differs was announced.
 */
export async function restoreElsewhere(
  place: Place,
  { name }: RichDatabase,
  before: Picture,
): Promise<string[]> {
  const told = (what: string) => `${name} on the server of ${place.user}: ${what}`;
  const words = ["restore", "latest", "--yes", "--json", "--globals"];
  const first = await place.agent(name, words);
  const refused = first.code === 1;
  if (refused && !isSentence(first)) return [told(`refused without a sentence: ${tailOf(first)}`)];
  const outcome = refused ? await place.agent(name, [...words, "--no-owner"]) : first;
  if (outcome.code !== 0) return [told(tailOf(outcome))];
  const after = await place.side.picture(name);
  const said = namedBy(outcome);
  const saysOwners = said.some((each) => /\bowners?\b/i.test(each));
  const found = refused
    ? differences(withoutGrants(before), withoutGrants(after))
    : differences(before, after);
  return [
    ...unannounced(found, said).map((each) => told(shown(each))),
    ...otherOwners(before, after)
      .filter(() => !saysOwners)
      .map((each) => told(`another owner: ${each}`)),
  ];
}

/**
 * Restores it as a role that is no superuser, beside the live one: whole, or refused with a sentence; then with
 * `--keep-going`, after which every row is there and each difference was announced.
 */
export async function restoreAsApplication(
  place: Place,
  { name }: RichDatabase,
  before: Picture,
): Promise<string[]> {
  const into = "by_app";
  const told = (what: string) => `${name} as "app": ${what}`;
  const words = ["restore", "latest", "--into", into, "--no-owner", "--json"];
  let outcome = await place.agent(name, words, APP);
  if (outcome.code === 1) {
    if (!isSentence(outcome)) return [told(`refused without a sentence: ${tailOf(outcome)}`)];
    outcome = await place.agent(name, [...words, "--keep-going"], APP);
  }
  if (outcome.code !== 0 && outcome.code !== 2) return [told(tailOf(outcome))];
  try {
    const found = differences(inside(before), inside(await place.side.picture(into)));
    const lost = found.filter(({ part }) =>
      /; Type: (?:TABLE DATA|BLOBS|LARGE OBJECTS?);/.test(part),
    );
    return [
      ...lost.map((each) => told(`rows: ${shown(each)}`)),
      ...unannounced(found, namedBy(outcome)).map((each) => told(shown(each))),
    ];
  } finally {
    await place.side.drop(into);
  }
}

/** Refused in words that somebody has written for it. */
function isSentence({ events }: Outcome): boolean {
  const error = events.find(({ event }) => event === "error");
  return error?.event === "error" && /^(?!unexpected).*\.$/s.test(error.message);
}

/** As `--no-owner` leaves it, which is one thing to say. */
function withoutGrants({ parts, owners }: Picture): Picture {
  return {
    parts: new Map([...parts].filter(([part]) => !/; Type: (?:DEFAULT )?ACL;/.test(part))),
    owners,
  };
}

/** Without what belongs to the database itself, which has another name here. */
function inside(picture: Picture): Picture {
  const { parts, owners } = withoutGrants(picture);
  return { parts: new Map([...parts].filter(([part]) => !OF_DATABASE.test(part))), owners };
}
