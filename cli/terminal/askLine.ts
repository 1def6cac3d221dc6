import { Problem } from "../../common/problem.ts";
import { Interrupted } from "../../common/process.ts";
import { ask } from "../../common/question.ts";
import type { Screen } from "./screen.ts";

export interface LineOptions {
  /** Sentence at Ctrl-C. */
  readonly interrupted: string;
  /** Sentence at Ctrl-D, or where the terminal is gone. */
  readonly ended: string;
  /** Ends the question, as Ctrl-C does. */
  readonly signal?: AbortSignal | undefined;
  /** Shows nothing of what is typed. @default false */
  readonly hidden?: boolean;
}

/**
 * Lets the operator type one line. The question goes to standard error, so that --json stays one document.
 * @returns what was typed, as it is
 * @throws Interrupted, Problem with these sentences
 */
export async function askLine(
  { terminal: { input, err } }: Screen,
  prompt: string,
  { interrupted, ended, signal, hidden = false }: LineOptions,
): Promise<string> {
  const answer = await ask(input, err, prompt, signal, { hidden });
  if (answer === "interrupted") throw new Interrupted(interrupted);
  if (answer === "ended") throw new Problem(ended);
  return answer.typed;
}
