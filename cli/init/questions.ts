import { Problem } from "../../common/problem.ts";
import { askLine } from "../terminal/askLine.ts";
import type { Screen } from "../terminal/screen.ts";

/** How often a wrong answer is asked again. */
const TRIES = 3;

/** Asks at the terminal; on standard error, so that --json stays one document. */
export class Questions {
  readonly #screen: Screen;
  /** Whether anything is asked; else the defaults count. */
  readonly asks: boolean;

  constructor(screen: Screen, asks: boolean) {
    this.#screen = screen;
    this.asks = asks;
  }

  /** A line that goes with a question, such as what an answer was found to be. */
  say(text: string): void {
    this.#screen.warn(text);
  }

  /**
   * One line, or Enter for the default.
   * @param read makes the value; what it throws is shown, and the question is asked again
   * @throws Problem of the last wrong answer; Interrupted
   */
  async text<T>(
    question: string,
    usual: string | undefined,
    read: (typed: string) => T,
  ): Promise<T> {
    if (!this.asks && usual !== undefined) return read(usual);
    for (let tries = 1; ; tries += 1) {
      const typed = await this.#line(question, usual);
      try {
        return read(typed === "" ? (usual ?? "") : typed);
      } catch (error) {
        if (!(error instanceof Problem) || tries === TRIES) throw error;
        this.say(`  ${error.message}`);
      }
    }
  }

  /** A value that is not shown while it is typed. */
  async hidden(question: string): Promise<string> {
    const typed = await this.#line(`${question} (not shown)`, undefined, true);
    if (typed !== "") return typed;
    throw new Problem(`${question}: nothing was typed. Nothing was written.`);
  }

  /** One of several, by its number or its word. @returns its index */
  async choose(
    question: string,
    choices: readonly { readonly id: string; readonly label: string }[],
  ): Promise<number> {
    if (!this.asks) return 0;
    this.say(question);
    for (const [index, { label }] of choices.entries()) this.say(`  ${index + 1}  ${label}`);
    return this.text("Number", "1", (typed) => {
      const index = choices.findIndex(({ id }, at) => typed === String(at + 1) || typed === id);
      if (index >= 0) return index;
      throw new Problem(`"${typed}" is none of them. Type a number from 1 to ${choices.length}.`);
    });
  }

  async yes(question: string): Promise<boolean> {
    return this.text(question, "yes", (typed) => {
      if (/^(?:y|yes)$/i.test(typed)) return true;
      if (/^(?:n|no)$/i.test(typed)) return false;
      throw new Problem(`"${typed}" is neither yes nor no.`);
    });
  }

  async #line(question: string, usual: string | undefined, hidden = false): Promise<string> {
    this.#screen.clear();
    const prompt = `? ${question}${usual === undefined ? "" : ` [${usual}]`}: `;
    const typed = await askLine(this.#screen, prompt, {
      interrupted: "interrupted; nothing was written.",
      ended: "no answer was typed; nothing was written.",
      hidden,
    });
    return typed.trim();
  }
}
