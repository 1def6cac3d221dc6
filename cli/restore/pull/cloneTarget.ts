import { Problem } from "../../../common/problem.ts";
import type { Session } from "../../session/session.ts";
import type { StackChoice } from "../../stack/pulumi.ts";

/** The environment that gets the data. */
export interface Target {
  readonly session: Session;
  readonly stack: StackChoice;
  /** Stack that the data is from. */
  readonly source: StackChoice;
}

/** What environments are called that nobody tries things in. */
const PRODUCTION = /(?:^|[^a-z])(?:prod|production|live)(?:[^a-z]|$)/i;

/**
 * Refuses a stack that is called like production, before it is asked for anything.
 * @throws Problem
 */
export function requireOtherName(stack: string): void {
  if (!PRODUCTION.test(stack)) return;
  throw new Problem(
    `--into ${stack} looks like production by its name, and clone never writes there. To bring a backup back into it: restore.`,
  );
}

/**
 * Refuses the very environment that the backup comes from, by whatever stack it is named.
 * @throws Problem
 */
export function requireOtherEnvironment(
  { backup, container }: Session,
  { session, stack }: Target,
): void {
  const { bucket, prefix, endpoint } = backup.location;
  const other = session.backup.location;
  const sameBackups =
    other.bucket === bucket && other.prefix === prefix && other.endpoint === endpoint;
  const sameContainer =
    session.container.name === container.name && session.container.host === container.host;
  if (!sameBackups && !sameContainer) return;
  throw new Problem(
    `--into ${stack.stack} is the environment that the backup comes from. Name the stack of another one, or bring it back with restore.`,
  );
}
