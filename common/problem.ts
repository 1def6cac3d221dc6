/**
 * A failure that its reader can mend: the message says what was asked, what was found and what to do.
 * Entry points print the message alone; any other error is a defect of ours and keeps its stack for `--debug`.
 */
export class Problem extends Error {
  override readonly name = "Problem";
}

/** A Problem without its stack, which Pulumi's host of dynamic resources would print below the sentence. */
export function problemWithoutStack(message: string): Problem {
  const problem = new Problem(message);
  problem.stack = "";
  return problem;
}

/** The text of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
