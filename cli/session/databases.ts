import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { Problem } from "../../common/problem.ts";
import { runAgent } from "./agentCall.ts";
import type { Session } from "./session.ts";

/** Whether the command is about one of several, so that it must be named. */
export function isOneOfSeveral({ databases = [] }: BackupOutputs): boolean {
  return databases === "all" || databases.length > 1;
}

/** What a command is about, in words, without asking the container. */
export function describeDatabases({ databases }: Pick<Session, "databases">): string {
  return databases === null ? "every database" : databases.join(", ");
}

/**
 * Names of the databases that the server has now, of which a backup of every database would take each.
 * @throws Problem when the agent cannot be asked, or the server does not answer it
 */
export async function askDatabases({ container, screen }: Session): Promise<readonly string[]> {
  const { databases } = await runAgent(container, ["databases"], "databases", {
    onStderrLine: (line) => screen.warn(line),
  });
  return databases;
}

/**
 * The session of a command that is about one database.
 * @param stored names those in the bucket, while the agent cannot be asked; absent: the command needs the agent anyway
 * @throws Problem when the backup has several and none was named
 */
export async function forOneDatabase(
  session: Session,
  stored?: () => Promise<readonly string[]>,
): Promise<Session> {
  const { databases, backup } = session;
  if (databases === null) throw await severalOnServer(session, stored);
  const [only, second] = databases;
  if (only !== undefined && second === undefined) return forDatabase(session, only);
  throw new Problem(
    `the backup ${backup.name} has several databases: ${databases.join(", ")}. Choose one with --database.`,
  );
}

async function severalOnServer(
  session: Session,
  stored?: () => Promise<readonly string[]>,
): Promise<Problem> {
  const { backup, container, screen } = session;
  const what = `the backup ${backup.name} takes every database of the server`;
  try {
    const found = await runAgent(container, ["databases", "--stored"], "databases", {
      onStderrLine: (line) => screen.warn(line),
    });
    const gone = (found.stored ?? []).filter((name) => !found.databases.includes(name));
    const names = [
      `now ${found.databases.join(", ")}`,
      ...(gone.length === 0 ? [] : [`in the bucket alone ${gone.join(", ")}`]),
    ];
    return new Problem(`${what}: ${names.join("; ")}. Choose one with --database.`);
  } catch (error) {
    if (!(error instanceof Problem) || stored === undefined) throw error;
    // Without the bucket's answer the reason of the agent is the one to mend.
    const names = await stored().catch((second) => {
      throw second instanceof Problem ? error : second;
    });
    return new Problem(
      `${what}: in the bucket ${names.join(", ") || "none"}. Choose one with --database. Which the server has now is not known: ${error.message}`,
    );
  }
}

/** The same session for one of the databases. */
export function forDatabase(session: Session, database: string): Session {
  return { ...session, backup: { ...session.backup, database }, databases: [database] };
}

/** The agent's option for the database; none where there is only one, so that an older agent understands the call too. */
export function databaseArguments(backup: BackupOutputs): string[] {
  return isOneOfSeveral(backup) ? ["--database", backup.database] : [];
}
