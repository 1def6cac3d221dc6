import { Problem } from "../../common/problem.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogue.ts";
import { type Container, ContainerDown } from "../session/agentCall.ts";
import { forDatabase, isOneOfSeveral, namesOf } from "../session/databases.ts";
import type { Session } from "../session/session.ts";
import type { Difference } from "../stack/differences.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import { formatAge, stampTime } from "../terminal/format.ts";
import { listInBucket, neither } from "./bucketListing.ts";
import { judgeAge, listBackups } from "./catalogue.ts";

/** What is known of the newest backup, or copy, of each database. */
export interface Judged {
  /** By the agent in the container, or in the bucket itself with the reader's key; null: it could not be seen. */
  readonly seen: "container" | "bucket" | null;
  readonly differences: readonly Difference[];
  /** Why it was not the container that told. */
  readonly notes: readonly string[];
}

/**
 * Judges the age of the newest backup of each database. Where the container does not tell, the bucket is asked. Data that
 * neither shows is itself a broken check, unless drift explains it: that which is known already, or the missing container.
 * @throws Problem when the check is broken
 */
export async function judgeNewest(
  session: Session,
  stack: StackChoice,
  known: readonly Difference[],
): Promise<Judged> {
  const what = newestOf(session);
  const differences: Difference[] = [];
  let names = session.databases;
  let failure: Problem;
  try {
    names = await namesOf(session);
    for (const name of names) {
      const one = forDatabase(session, name);
      differences.push(...judgeAgeOf(one, await listBackups(one)));
    }
    return { seen: "container", differences, notes: [] };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    failure = error;
  }
  const isDown = failure instanceof ContainerDown;
  const down = isDown && known.length === 0 ? [containerDown(session.container)] : [];
  let { message } = failure;
  // A container that answers, but not which databases there are, leaves open which ones must be young.
  if (names !== null || isDown) {
    try {
      const stored = [...(await listInBucket(session, stack, names))];
      const found = stored.flatMap(([name, entries]) =>
        judgeAgeOf(forDatabase(session, name), entries),
      );
      const of = names === null ? ", for each database there, gone from the server or not" : "";
      const note = `the ${what} was looked up in the bucket itself${of}: ${failure.message}`;
      return { seen: "bucket", differences: [...found, ...down], notes: [note] };
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      ({ message } = neither(message, error));
    }
  }
  if (known.length === 0 && !isDown) throw failure;
  const note = `the age of the ${what} could not be judged: ${message}`;
  return { seen: null, differences: [...differences, ...down], notes: [note] };
}

function judgeAgeOf(session: Session, entries: readonly CatalogueEntry[]): Difference[] {
  const { backup, container } = session;
  const what = newestOf(session);
  const { ok, newest } = judgeAge(backup, entries, Date.now());
  if (ok) return [];
  const named = isOneOfSeveral(backup) && backup.database !== "";
  return [
    {
      plane: "data",
      subject: named ? `${what} of ${backup.database}` : what,
      declared: `RPO ${backup.rpoHours} h`,
      found: newest ? `${formatAge(Date.now() - stampTime(newest.stamp))} old` : "none",
      remedy: `see why: docker logs ${container.name}`,
    },
  ];
}

function newestOf({ ofCopy }: Session): string {
  return ofCopy ? "newest copy" : "newest backup";
}

/** The container went down after the engine had looked. */
function containerDown({ host, name }: Container): Difference {
  return {
    plane: "host",
    subject: `${host} ${name}`,
    declared: "running",
    found: "not running",
    remedy: "pulumi up starts it",
  };
}
