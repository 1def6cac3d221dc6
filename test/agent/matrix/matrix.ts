/** Where each database of the matrix is restored, and what has to be true then. */
import type { Outcome } from "../world.ts";
import type { RichDatabase } from "./databases.ts";
import { differences, otherOwners, type Picture, shown, unannounced } from "./picture.ts";
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

/** Everything that a restore has said. */
const saidBy = ({ stdout, stderr }: Outcome) => `${stdout}${stderr}`;

/**
 * Restores the newest backup in the place of whatever is there, and holds it against the original.
 * @returns what is wrong, each with where it was found; empty when everything is equal or was announced
 */
export async function restoreWhole(
  place: Place,
  { name }: RichDatabase,
  before: Picture,
  ...options: readonly string[]
): Promise<string[]> {
  const outcome = await place.agent(name, ["restore", "latest", "--yes", "--json", ...options]);
  const told = (what: string) => `${name} on the server of ${place.user}: ${what}`;
  if (outcome.code !== 0) return [told(`exit ${outcome.code} ${saidBy(outcome).slice(-1_000)}`)];
  const after = await place.side.picture(name);
  const said = saidBy(outcome);
  const owners = otherOwners(before, after).filter(
    (each) => !/owner/i.test(said) || !named(said, each),
  );
  return [
    ...unannounced(differences(before, after), said).map((each) => told(shown(each))),
    ...owners.map((each) => told(`another owner: ${each}`)),
  ];
}

/** The role that has lost something is named. */
const named = (said: string, owner: string) =>
  said.includes(owner.split(": ").at(-1)?.split(" -> ")[0] ?? owner);

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
  const restore = (...options: string[]) =>
    place.agent(
      name,
      ["restore", "latest", "--into", into, "--no-owner", "--json", ...options],
      APP,
    );
  let outcome = await restore();
  if (outcome.code === 1) {
    const error = outcome.events.find(({ event }) => event === "error");
    if (error?.event !== "error" || !error.message.endsWith(".")) {
      return [told(`refused without a sentence: ${saidBy(outcome).slice(-1_000)}`)];
    }
    outcome = await restore("--keep-going");
  }
  if (outcome.code !== 0 && outcome.code !== 2) {
    return [told(`exit ${outcome.code} ${saidBy(outcome).slice(-1_000)}`)];
  }
  try {
    const after = await place.side.picture(into);
    return unannounced(differences(inside(before), inside(after)), saidBy(outcome)).map((each) =>
      told(shown(each)),
    );
  } finally {
    await place.side.drop(into);
  }
}

/** Without what belongs to the database itself, which has another name here, and without grants, which `--no-owner` leaves out. */
function inside({ parts, owners }: Picture): Picture {
  const kept = [...parts].filter(
    ([part]) => !/; Type: (?:DATABASE.*|ACL|DEFAULT ACL);|^Name: DATABASE /.test(part),
  );
  return { parts: new Map(kept), owners };
}
