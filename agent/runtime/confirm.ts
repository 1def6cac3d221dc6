import { Problem } from "../../common/problem.ts";
import { ask } from "../../common/question.ts";
import type { Attachment } from "./attachment.ts";
import type { Report } from "./reporter.ts";

/** Whoever was asked has said no. */
export class NotConfirmed extends Problem {
  constructor() {
    super("not confirmed, so nothing was changed.");
  }
}

/**
 * Asks a question that only the operator can answer.
 * @param name of the database that it is about
 * @param notRestored what a restore will not bring back, as far as it is new since the question before
 * @returns whether to go on
 */
export type Confirm = (
  question: string,
  name: string,
  notRestored?: readonly string[],
) => Promise<boolean>;

/**
 * Asks the program at the other end of standard input, which asks its user or knows the answer.
 */
export function remoteConfirmation(
  report: Pick<Report, "event">,
  attachment: Pick<Attachment, "answer">,
): Confirm {
  return async (question, name, notRestored = []) => {
    const answer = attachment.answer();
    report.event({ event: "question", question, name, notRestored });
    return (await answer) === "yes";
  };
}

/**
 * Asks to type the database's name when a person sits at the terminal. Without a terminal there is nobody to ask, and a
 * restore keeps the old database, so it goes on, as the old image's script did.
 * @param agreed true: never ask
 * @param signal ends the question
 */
export function confirmation(agreed: boolean, signal: AbortSignal): Confirm {
  return async (question, name) => {
    if (agreed || !process.stdin.isTTY || !process.stdout.isTTY) return true;
    const message = `${question} Type the database's name to continue: `;
    const answer = await ask(process.stdin, process.stdout, message, signal);
    return typeof answer !== "string" && answer.typed === name;
  };
}
