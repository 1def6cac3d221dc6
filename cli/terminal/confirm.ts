import { Problem } from "../../common/problem.ts";
import { type Screen, shown } from "./screen.ts";

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
 * @throws Problem when the answer is another name, or the question was interrupted
 */
export async function confirm(
  { terminal }: Screen,
  plan: readonly string[],
  name: string,
): Promise<void> {
  // Loaded when it is needed: most commands ask nothing.
  const { default: prompt } = await import("@inquirer/input");
  // The plan and the question go to standard error, so that --json stays one document.
  terminal.err.write(`${shown(`${plan[0]}?\n${plan.slice(1).join("\n")}`)}\n`);
  let answer: string;
  try {
    answer = await prompt(
      { message: "Type the database's name to go on:" },
      { input: terminal.input, output: terminal.err },
    );
  } catch (error) {
    if ((error as Error).name === "ExitPromptError") throw new Problem("nothing was changed.");
    throw error;
  }
  if (answer !== name) throw new Problem(`"${answer}" is not "${name}"; nothing was changed.`);
}
