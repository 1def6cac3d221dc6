import { Problem } from "../../common/problem.ts";
import { askLine } from "./askLine.ts";
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
  // On standard error, as the question.
  for (const line of [`${plan[0]}?`, ...plan.slice(1)]) screen.warn(line);
  const typed = await askLine(screen, "Type the database's name to continue: ", {
    interrupted: `interrupted; ${unchanged}.`,
    ended: `no name was typed; ${unchanged}.`,
    signal,
  });
  if (typed !== name) throw new Problem(`"${typed}" is not "${name}"; ${unchanged}.`);
  screen.waiting("going on");
}
