/**
 * A failure that its reader can mend: the message says what was asked, what was found and what to do.
 * Entry points print the message alone; any other error is a defect of ours and keeps its stack for `--debug`.
 */
export class Problem extends Error {
  override readonly name = "Problem";
}
