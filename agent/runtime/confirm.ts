import { Problem } from "../../common/problem.ts";

/** Whoever was asked has said no. */
export class NotConfirmed extends Problem {
  constructor() {
    super("not confirmed, so nothing was changed.");
  }
}

/**
 * Asks to type the database's name when a person sits at the terminal. Without a terminal there is nobody to ask, and a
 * restore keeps the old database, so it goes on, as the old image's script did.
 * @param agreed true: never ask
 * @param signal ends the question
 */
export function confirmation(agreed: boolean, signal: AbortSignal) {
  return async (question: string, name: string): Promise<boolean> => {
    if (agreed || !process.stdin.isTTY || !process.stdout.isTTY) return true;
    const { default: input } = await import("@inquirer/input");
    try {
      const message = `${question} Type the database's name to go on:`;
      return (await input({ message }, { signal })) === name;
    } catch (error) {
      // Ctrl-C, or the signal: both mean no.
      if (error instanceof Error && /^(Exit|Abort)PromptError$/.test(error.name)) return false;
      throw error;
    }
  };
}
