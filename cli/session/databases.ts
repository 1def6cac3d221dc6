import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { Problem } from "../../common/problem.ts";
import { runAgent } from "./agentCall.ts";
import type { Session } from "./session.ts";

/** Whether the command is about one of several, so that it must be named. */
export function isOneOfSeveral({ databases = [] }: BackupOutputs): boolean {
  return databases === "all" || databases.length > 1;
}

/** What a command is about, in words, without asking the container. */
export function nameOf({ databases }: Pick<Session, "databases">): string {
  return databases === null ? "every database" : databases.join(", ");
}

/**
 * The names of those that the command is about.
 * @throws Problem when the container must be asked, and cannot tell
 */
export async function namesOf({
  databases,
  container,
  screen,
}: Session): Promise<readonly string[]> {
  if (databases !== null) return databases;
  const found = await runAgent(container, ["databases"], "databases", {
    onStderrLine: (line) => screen.warn(line),
  });
  return found.databases;
}

/**
 * The session of a command that is about one database.
 * @throws Problem when the backup has several and none was named
 */
export async function forOne(session: Session): Promise<Session> {
  const { databases, backup } = session;
  if (databases === null) throw await whichOfAll(session);
  const [only, second] = databases;
  if (only !== undefined && second === undefined) return forDatabase(session, only);
  throw new Problem(
    `the backup ${backup.name} has several databases: ${databases.join(", ")}. Choose one with --database.`,
  );
}

async function whichOfAll({ backup, container, screen }: Session): Promise<Problem> {
  const { databases, stored } = await runAgent(container, ["databases", "--stored"], "databases", {
    onStderrLine: (line) => screen.warn(line),
  });
  const gone = (stored ?? []).filter((name) => !databases.includes(name));
  const names = [
    `now ${databases.join(", ")}`,
    ...(gone.length === 0 ? [] : [`in the bucket alone ${gone.join(", ")}`]),
  ];
  return new Problem(
    `the backup ${backup.name} takes every database of the server: ${names.join("; ")}. Choose one with --database.`,
  );
}

/** The same session for one of the databases. */
export function forDatabase(session: Session, database: string): Session {
  return { ...session, backup: { ...session.backup, database }, databases: [database] };
}

/** Tells the agent which one; nothing where there is only one, which an older agent knows by itself. */
export function databaseArguments(backup: BackupOutputs): string[] {
  return isOneOfSeveral(backup) ? ["--database", backup.database] : [];
}
