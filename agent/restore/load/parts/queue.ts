import type { TocEntry } from "../../../archive/toc/grammar.ts";
import type { Job } from "./jobs.ts";

/** What a worker does. */
interface Work {
  readonly runData: (data: readonly TocEntry[]) => Promise<void>;
  readonly runIndex: (index: TocEntry) => Promise<void>;
}

/** The runs that are still to be made. The indexes of a large table come as soon as its rows are in. */
export class Queue {
  readonly #jobs: Job[];
  readonly #indexes: TocEntry[] = [];
  readonly #work: Work;
  #running = 0;
  #changed = Promise.withResolvers<void>();

  /** @param jobs in the order in which they are begun */
  constructor(jobs: readonly Job[], work: Work) {
    this.#jobs = [...jobs];
    this.#work = work;
  }

  /**
   * Does everything, so much of it at once. After a failure nothing more is begun.
   * @param onFailure is called at once, to stop what is running
   * @throws the first failure, when everything has ended
   */
  async run(workers: number, onFailure: (error: unknown) => void): Promise<void> {
    let failure: { readonly error: unknown } | undefined;
    const worker = async () => {
      while (failure === undefined && (await this.#next()));
    };
    const watched = () =>
      worker().catch((error: unknown) => {
        failure ??= { error };
        onFailure(failure.error);
      });
    await Promise.all(Array.from({ length: workers }, watched));
    if (failure !== undefined) throw failure.error;
  }

  /** @returns false when nothing is left, nor can anything come up */
  async #next(): Promise<boolean> {
    const index = this.#indexes.shift();
    const job = index === undefined ? this.#jobs.shift() : undefined;
    if (index === undefined && job === undefined) {
      if (this.#running === 0) return false;
      await this.#changed.promise;
      return true;
    }
    this.#running += 1;
    try {
      if (index !== undefined) await this.#work.runIndex(index);
      if (job !== undefined) {
        await this.#work.runData(job.data);
        this.#indexes.push(...job.indexes);
      }
    } finally {
      this.#running -= 1;
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    }
    return true;
  }
}
