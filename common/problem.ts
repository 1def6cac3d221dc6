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

/** What a backup holds cannot be restored, or is not what was stored: the backup is at fault, and no server, key or network. */
export class BadBackup extends Problem {
  /** What was found, without what follows for a live database: a sentence. */
  readonly finding: string;
  constructor(message: string, finding = message) {
    super(message);
    this.finding = finding;
  }
}
