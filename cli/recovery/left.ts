import { Problem } from "../../common/problem.ts";
import { inspectContainer } from "../session/container.ts";
import { type CommonOptions, openSession, type Session } from "../session/session.ts";
import type { Screen } from "../terminal/screen.ts";
import type { CommittedBackup } from "./committedBackup.ts";

/** What a recovery can start from, and how a reader recognises it. The order is that of the question. */
export const LEFT = {
  all: "server and stack; the data is damaged",
  stack: "the stack, but not the server",
  server: "the server and the project in git, but not the stack",
  project: "the project in git, but neither server nor stack",
  bucket: "the bucket, a key for it, and the age identity",
} as const;

export type Left = keyof typeof LEFT;

/** What can be seen from here. */
export interface Look {
  readonly likely: Left;
  /** The stack and the way to its container; undefined: the stack does not answer. */
  readonly session: Session | undefined;
  /** What was seen, a sentence each. */
  readonly seen: readonly string[];
}

/** Asks the stack and the server; neither has to answer. What they answer is a guess for the question, not its answer. */
export async function lookAround(
  options: CommonOptions,
  screen: Screen,
  committed: CommittedBackup | Problem,
): Promise<Look> {
  const session = await openSession(options, screen).catch(asProblem);
  if (session instanceof Problem) {
    const stack = `The stack does not answer: ${session.message}`;
    return committed instanceof Problem
      ? { likely: "bucket", session: undefined, seen: [stack, `No project: ${committed.message}`] }
      : {
          likely: "project",
          session: undefined,
          seen: [stack, `${committed.file} has the backup in s3://${committed.bucket}.`],
        };
  }
  const { host } = session.container;
  const state = await inspectContainer(session.container).catch(asProblem);
  const stack = `The stack answers: the backup ${session.backup.name} in s3://${session.backup.location.bucket}.`;
  return state instanceof Problem
    ? { likely: "stack", session, seen: [stack, `${host} does not answer: ${state.message}`] }
    : { likely: "all", session, seen: [stack, `${host} answers.`] };
}

function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  throw error;
}
