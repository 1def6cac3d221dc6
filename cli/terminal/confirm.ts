import { Problem } from "../../common/problem.ts";
import { Interrupted } from "../../common/process.ts";
import { ask } from "../../common/question.ts";
import type { Screen } from "./screen.ts";

/**
 * A question that nobody can answer would hang a job.
 * @param why what the command asks and when, as the beginning of a sentence
 * @throws Problem when standard input is no terminal
 */
export function requireTerminal({ terminal }: Screen, why: string): void {
  if (terminal.input.isTTY) return;
  throw new Problem(
    `${why}, and standard input is no terminal. Run it in a terminal, or add --yes.`,
  );
}

/**
 * Shows a plan and lets the operator type the name of the database that it concerns.
 * @param plan its first line is asked, the others explain it
 * @param unchanged what is true when the answer is no, as the end of a sentence
 * @param signal ends the question, which counts as a no
 * @throws Problem when the answer is another name, or the question was interrupted
 */
export async function confirm(
  screen: Screen,
  plan: readonly string[],
  name: string,
  {
    unchanged = "nothing was changed",
    signal,
  }: { readonly unchanged?: string; readonly signal?: AbortSignal } = {},
): Promise<void> {
  screen.clear();
  // The plan and the question go to standard error, so that --json stays one document.
  for (const line of [`${plan[0]}?`, ...plan.slice(1)]) screen.warn(line);
  const { input, err } = screen.terminal;
  const answer = await ask(input, err, "Type the database's name to continue: ", signal);
  if (answer === "interrupted") throw new Interrupted(`interrupted; ${unchanged}.`);
  if (answer === "ended") throw new Problem(`no name was typed; ${unchanged}.`);
  if (answer.typed !== name) throw new Problem(`"${answer.typed}" is not "${name}"; ${unchanged}.`);
  screen.waiting("going on");
}
