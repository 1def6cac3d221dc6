import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { Problem } from "../../common/problem.ts";
import type { Session } from "./session.ts";

/** Option of the commands that read a bucket. */
export interface CopyOption {
  /** Reads the second bucket. @default the first */
  readonly copy?: boolean;
}

/**
 * The session of a command that may be about the copies.
 * @throws Problem when there are none
 */
export function chooseBucket(session: Session, { copy }: CopyOption): Session {
  if (copy !== true) return session;
  const copied = forCopy(session);
  if (copied !== undefined) return copied;
  throw new Problem(
    `--copy: the backup ${session.backup.name} has no copy. Leave --copy away, or declare one (copy of PostgresBackup) and run pulumi up.`,
  );
}

/** The same session for the second bucket; undefined without one. */
export function forCopy(session: Session): Session | undefined {
  const { copy, retentionDays: _, tierDays: __, ...rest } = session.backup;
  if (copy === undefined) return undefined;
  const backup: BackupOutputs = { ...rest, ...copy };
  return { ...session, backup, ofCopy: true };
}

/** The agent's option for the copies; none for the first bucket, so that an older agent understands the call too. */
export function copyArguments({ ofCopy }: Session): string[] {
  return ofCopy ? ["--copy"] : [];
}
