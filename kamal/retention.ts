import { Problem } from "./problem.ts";

/**
 * How long a backup is kept.
 * @example Retention.days(30)
 */
export class Retention {
  // Private, so that an object of the same shape, which nobody has checked, does not typecheck.
  readonly #days: number;

  private constructor(days: number) {
    this.#days = days;
  }

  /** Days from the upload until the bucket expires the backup. */
  get days(): number {
    return this.#days;
  }

  /**
   * @param days whole days, 1 to 36500
   * @throws Problem when no bucket could keep that rule
   */
  static days(days: number): Retention {
    if (!Number.isInteger(days) || days < 1 || days > 36_500) {
      throw new Problem(`Retention.days(${days}): give whole days from 1 to 36500.`);
    }
    return new Retention(days);
  }

  toString(): string {
    return this.days === 1 ? "1 day" : `${this.days} days`;
  }
}
