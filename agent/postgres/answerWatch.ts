import { Problem } from "../../common/problem.ts";
import { inWords, STALL_LIMIT_MS } from "../streams/stallTimeout.ts";

/** What a look from another connection finds: the server works for us, or it has nothing to do with us any more. */
export type Sign = "working" | "done";

/** So often a server is asked whether it still works; a shorter query is not asked about. */
const LONGEST_PAUSE_MS = 60_000;
/** A query may have ended just before the look, and its answer be on its way. */
const DONE_TWICE = 2;

/**
 * Gives up a server that does not answer any more. A query may take hours in silence, so silence alone means nothing: while one
 * is under way, another connection asks whether the server still works for it.
 */
export class AnswerWatch {
  readonly #ask: () => Promise<Sign>;
  readonly #give: (why: Problem) => void;
  readonly #where: string;
  readonly #limitMs: number;
  #timer: NodeJS.Timeout | undefined;
  #waiting = 0;
  #lastSign = 0;
  #done = 0;
  #asking = false;

  /**
   * @param where the server, for the error
   * @param ask looks from another connection; rejects when that gets no answer either
   * @param give called once with the reason
   * @param limitMs longest time without a sign
   */
  constructor(
    where: string,
    {
      ask,
      give,
      limitMs = STALL_LIMIT_MS,
    }: {
      readonly ask: () => Promise<Sign>;
      readonly give: (why: Problem) => void;
      readonly limitMs?: number;
    },
  ) {
    this.#where = where;
    this.#ask = ask;
    this.#give = give;
    this.#limitMs = limitMs;
  }

  /** Something is waited for. */
  begin(): void {
    this.#waiting += 1;
    this.#sign();
    this.#timer ??= setInterval(
      () => this.#look(),
      Math.min(LONGEST_PAUSE_MS, this.#limitMs / 4),
    ).unref();
  }

  /** It came, or failed. */
  end(): void {
    this.#waiting -= 1;
    this.#sign();
    if (this.#waiting > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #sign(): void {
    this.#lastSign = performance.now();
    this.#done = 0;
  }

  #look(): void {
    if (performance.now() - this.#lastSign >= this.#limitMs) {
      this.#stop(
        `PostgreSQL at ${this.#where} has not answered for ${inWords(this.#limitMs)}, so it was given up. Check that the server runs and is not paused, and the network to it.`,
      );
      return;
    }
    if (this.#asking) return;
    this.#asking = true;
    const since = this.#lastSign;
    this.#ask()
      .then((sign) => {
        // Another query has begun meanwhile.
        if (since !== this.#lastSign) return;
        if (sign === "working") this.#sign();
        else this.#done += 1;
        if (this.#done < DONE_TWICE) return;
        this.#stop(
          `the connection to PostgreSQL at ${this.#where} passes nothing any more: the server has finished, and its answer did not come. Check the network between, and try again.`,
        );
      })
      .catch(() => {
        // No sign: the time runs on.
      })
      .finally(() => {
        this.#asking = false;
      });
  }

  #stop(why: string): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#give(new Problem(why));
  }
}
