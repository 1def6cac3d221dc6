import { Problem } from "../../common/problem.ts";
import { forDatabase } from "../session/databases.ts";
import type { Session } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import { listAnywhere, listInBucket, neither } from "./bucketListing.ts";
import { judgeAge, type Verdict } from "./catalogue.ts";

/** Whether the newest backup, or copy, of one of the databases is young enough. */
export interface Judged extends Verdict {
  readonly database: string;
  /** What it is the newest of, for its label: a copy, one of several databases. */
  readonly of: string;
  /** Who told; null: nobody could, and `text` says why. */
  readonly seen: "container" | "bucket" | null;
}

/**
 * By what the agent in the container lists, or, where its key may only add, what lies in the bucket.
 * @throws Problem when neither tells; of copies, which may be out of reach, that is part of the answer
 */
export async function judgeByAgent(
  session: Session,
  names: readonly string[],
  stack: StackChoice,
  now: number,
): Promise<Judged[]> {
  const judged: Judged[] = [];
  for (const database of names) {
    const one = forDatabase(session, database);
    const named = { database, of: labelOf(session, database) };
    try {
      const { entries, seen } = await listAnywhere(one, stack);
      judged.push({ ...judgeAge(one.backup, entries, now), ...named, seen });
    } catch (error) {
      if (!session.ofCopy || !(error instanceof Problem)) throw error;
      judged.push({ ...notSeen(error), ...named });
    }
  }
  return judged;
}

/** By what lies in the bucket itself, for while the container does not run. */
export async function judgeInBucket(
  session: Session,
  stack: StackChoice,
  now: number,
): Promise<Judged[]> {
  const { backup, databases } = session;
  try {
    const stored = [...(await listInBucket(session, stack, databases))];
    return stored.map(([database, entries]) => ({
      ...judgeAge(backup, entries, now),
      ...{ database, of: labelOf(session, database), seen: "bucket" },
    }));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const both = neither("Not known: the container does not run.", error);
    return [{ ...notSeen(both), database: backup.database, of: labelOf(session, "") }];
  }
}

function notSeen({ message }: Problem) {
  return { newest: undefined, ok: false, text: message, seen: null };
}

function labelOf({ databases, ofCopy }: Session, database: string): string {
  const several = databases === null || databases.length > 1;
  return `${ofCopy ? " copy" : ""}${several && database !== "" ? ` ${database}` : ""}`;
}
