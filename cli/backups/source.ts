import type { Entry } from "../../common/contracts/agentEvents.ts";
import { Problem } from "../../common/problem.ts";
import { AgentError, runAgent } from "../session/agentCall.ts";
import { copyArguments } from "../session/copy.ts";
import { askDatabases, databaseArguments, forDatabase } from "../session/databases.ts";
import type { Databases, Session } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import { type Listed, listInBucket } from "./bucketSource.ts";

/** Who has listed backups: the agent in the container, or the bucket itself. */
export type Source = "container" | "bucket";

/** The backups of one database. */
export interface Listing extends Listed {
  readonly database: string;
  readonly source: Source;
}

/** What is known of the backups of a session's databases. */
export interface StoredBackups {
  /** The databases that should have backups; null: which the server has is not known. */
  readonly databases: Databases;
  readonly listings: readonly Listing[];
  /** Why the agent has not listed all of them; absent: it has. */
  readonly agentFailure?: Problem;
  /** Both reasons, where the bucket has not listed the rest either. */
  readonly failure?: Problem;
}

/** The two that can list backups. */
export interface Sources {
  readonly agent: {
    /** Those that the server has. */
    databases(): Promise<readonly string[]>;
    list(database: string): Promise<Listed>;
  };
  /** @param databases null: every one that has a backup */
  bucket(databases: Databases): Promise<ReadonlyMap<string, Listed>>;
}

/**
 * Asks the agent for the backups of each database, and the bucket for those that it does not list: because the host or the
 * container is gone, or its key may not list.
 * @param known the databases, where the declaration names them
 * @param unavailable why the agent cannot be asked, where that is known already
 */
export async function readBackups(
  { agent, bucket }: Sources,
  known: Databases,
  unavailable?: Problem,
): Promise<StoredBackups> {
  const listings: Listing[] = [];
  let databases = known;
  let agentFailure = unavailable;
  if (agentFailure === undefined) {
    try {
      databases = known ?? (await agent.databases());
      for (const database of databases) {
        listings.push({ database, ...(await agent.list(database)), source: "container" });
      }
      return { databases, listings };
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      agentFailure = error;
    }
  }
  // The agent runs, but cannot get the names of the databases from the server. Those in the bucket would be a false answer:
  // a database without any backup would not be missed.
  if (databases === null && agentFailure instanceof AgentError) {
    return { databases, listings, agentFailure, failure: agentFailure };
  }
  try {
    const listed = new Set(listings.map(({ database }) => database));
    const rest = databases?.filter((database) => !listed.has(database)) ?? null;
    for (const [database, listed] of await bucket(rest)) {
      listings.push({ database, ...listed, source: "bucket" });
    }
    return { databases, listings, agentFailure };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const failure = new Problem(
      `${agentFailure.message} The bucket could not be asked either: ${error.message}`,
      { cause: error },
    );
    return { databases, listings, agentFailure, failure };
  }
}

/**
 * The agent in the session's container, and the session's bucket.
 * @param manifests number of the newest backups whose manifests are read from the bucket; the agent has a limit of its own
 */
export function sourcesOf(session: Session, stack: StackChoice, manifests = 0): Sources {
  return {
    agent: {
      databases: () => askDatabases(session),
      list: (database) => listing(forDatabase(session, database)),
    },
    bucket: (databases) => listInBucket(session, stack, databases, manifests),
  };
}

/**
 * Backups of the session's database as the agent lists them, newest first.
 * @throws Problem when the agent cannot be asked, or may not list
 */
export async function listByAgent(session: Session): Promise<readonly Entry[]> {
  return (await listing(session)).entries;
}

async function listing(session: Session): Promise<Listed> {
  const { backup, container, screen } = session;
  const args = ["list", ...databaseArguments(backup), ...copyArguments(session)];
  const { backups, lastFailure, drills } = await runAgent(container, args, "list", {
    onStderrLine: (line) => screen.warn(line),
  });
  const entries = backups
    .filter((entry) => entry.database === backup.database)
    .sort((a, b) => b.stamp.localeCompare(a.stamp));
  return { entries, ...(lastFailure && { lastFailure }), ...(drills && { drills }) };
}
