import type { BackupOutputs } from "../components/outputs.ts";
import { Problem } from "../storage/problem.ts";
import type { Session } from "./session.ts";

/** All databases of a backup. */
export function databasesOf({ database, databases }: BackupOutputs): readonly string[] {
  return databases ?? [database];
}

/**
 * The databases that a command is about.
 * @param wanted the one to take; absent: all
 * @throws Problem when the backup does not hold it
 */
export function chooseDatabases(backup: BackupOutputs, wanted?: string): readonly string[] {
  const all = databasesOf(backup);
  if (wanted === undefined) return all;
  if (all.includes(wanted)) return [wanted];
  throw new Problem(`--database ${wanted}: the backup ${backup.name} has ${all.join(", ")}.`);
}

/**
 * The session of a command that is about one database.
 * @throws Problem when the backup has several and none was named
 */
export function forOne(session: Session): Session {
  const [only, second] = session.databases;
  if (only !== undefined && second === undefined) return forDatabase(session, only);
  throw new Problem(
    `the backup ${session.backup.name} has several databases: ${session.databases.join(", ")}. Choose one with --database.`,
  );
}

/** The same session for one of the databases. */
export function forDatabase(session: Session, database: string): Session {
  return { ...session, backup: { ...session.backup, database }, databases: [database] };
}

/** Tells the agent which one; nothing where there is only one, which an older agent knows by itself. */
export function databaseArguments(backup: BackupOutputs): string[] {
  return databasesOf(backup).length > 1 ? ["--database", backup.database] : [];
}
