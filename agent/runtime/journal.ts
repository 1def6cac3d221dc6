/**
 * What a run has done so far that outlives it, so that one that is stopped says truly what stands. A run that has noted
 * nothing has changed nothing.
 */
export class Journal {
  readonly #stays = new Map<string, string>();
  readonly #tidied = new Set<string>();
  readonly #expected = new Map<string, string>();

  /**
   * Something is to be done that `stays` notes under the same name.
   * @param missing for a person, in case it is not: `"shop" was not stored`
   */
  expected(what: string, missing: string): void {
    this.#expected.set(what, missing);
  }

  /**
   * Something stands, whatever comes.
   * @param what names it, so that it can be taken back or said in other words
   * @param words for a person, to be joined with others by commas: `"shop" is complete`
   */
  stays(what: string, words: string): void {
    this.#stays.set(what, words);
  }

  /** It has not come to be, or whoever says how the run ended says it too. */
  withdrawn(what: string): void {
    this.#stays.delete(what);
  }

  /**
   * It has been taken away again.
   * @param words that it was: `the unfinished database was dropped`
   */
  tidied(what: string, words: string): void {
    this.#stays.delete(what);
    this.#tidied.add(words);
  }

  /** What stands, as the end of a sentence without its full stop; empty: nothing is known to. */
  standing(): string {
    return this.#stays.size === 0 ? "" : `: ${[...this.#stays.values()].join(", ")}`;
  }

  /** The sentence of a failure, without its "Nothing was changed" where something stands that the failed step knows not of. */
  corrected(sentence: string): string {
    if (this.#stays.size === 0) return sentence;
    return sentence.replace(
      /\bnothing was changed\b/i,
      (said) =>
        `${said.startsWith("N") ? "No" : "no"} database was changed, but ${[...this.#stays.values()].join(", ")}`,
    );
  }

  /** How a run ends that was stopped, without its full stop. */
  ending(): string {
    if (this.#stays.size > 0) {
      const missing = [...this.#expected].filter(([what]) => !this.#stays.has(what));
      const more = [...missing.map(([, words]) => words), ...this.#tidied];
      return [this.standing(), ...more].join(", ");
    }
    const tidied = this.#tidied.size === 0 ? "" : `; ${[...this.#tidied].join(", ")}`;
    return `; nothing was stored or changed${tidied}`;
  }
}
