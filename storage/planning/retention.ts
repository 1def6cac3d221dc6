import { Problem } from "../../common/problem.ts";

/** Days until a backup of each tier expires. */
export interface TierDays {
  readonly daily: number;
  readonly weekly: number;
  readonly monthly: number;
}

/**
 * How long a backup is kept.
 * @example Retention.days(30)
 * @example Retention.tiers({ daily: 7, weekly: 35, monthly: 365 })
 */
export class Retention {
  // Private, so that an object of the same shape, which nobody has checked, does not typecheck.
  readonly #days: number;
  readonly #tierDays: TierDays | undefined;

  private constructor(days: number, tierDays?: TierDays) {
    this.#days = days;
    this.#tierDays = tierDays;
  }

  /** Days from the upload until the bucket expires the backup; with tiers: the longest of them. */
  get days(): number {
    return this.#days;
  }

  /** Days of each tier; undefined without tiers. */
  get tierDays(): TierDays | undefined {
    return this.#tierDays;
  }

  /**
   * @param days whole days, 1 to 36500
   * @throws Problem when no bucket could keep that rule
   */
  static days(days: number): Retention {
    requireDays(`Retention.days(${days})`, days);
    return new Retention(days);
  }

  /**
   * Grandfather, father, son: the first backup of a month is kept longest, the first of a week shorter, every other one
   * shortest. Each lies in a folder of its own that the bucket expires, so that no key needs the right to delete.
   * @param days whole days of each, 1 to 36500
   * @throws Problem when no bucket could keep that rule, or a longer tier is kept for less than a shorter one
   */
  static tiers(days: TierDays): Retention {
    const { daily, weekly, monthly } = days;
    const call = `Retention.tiers({ daily: ${daily}, weekly: ${weekly}, monthly: ${monthly} })`;
    for (const value of [daily, weekly, monthly]) requireDays(call, value);
    checkTierOrder(call, days);
    return new Retention(monthly, { daily, weekly, monthly });
  }

  toString(): string {
    if (this.tierDays !== undefined) {
      const { daily, weekly, monthly } = this.tierDays;
      return `daily ${daily}, weekly ${weekly}, monthly ${monthly} days`;
    }
    return this.days === 1 ? "1 day" : `${this.days} days`;
  }
}

function requireDays(call: string, days: number): void {
  if (!isWholeDays(days)) throw new Problem(`${call}: give whole days from 1 to 36500.`);
}

/** Whether a bucket could keep a rule of that many days. */
export function isWholeDays(days: unknown): days is number {
  return typeof days === "number" && Number.isInteger(days) && days >= 1 && days <= 36_500;
}

/**
 * @param subject what the message begins with: the call or the setting that the days stand in
 * @throws Problem when a longer tier is kept for less than a shorter one
 */
export function checkTierOrder(subject: string, { daily, weekly, monthly }: TierDays): void {
  if (weekly >= daily && monthly >= weekly) return;
  throw new Problem(
    `${subject}: a weekly backup must be kept at least as long as a daily one, and a monthly one as long as a weekly one.`,
  );
}
