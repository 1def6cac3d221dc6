import { TIERS, type Tier } from "./keys.ts";
import { Problem } from "./problem.ts";

/** Days until a backup of each tier expires, in the folders that hold tiers: prefixes without slash at either end. */
export interface TierExpiry {
  readonly days: Readonly<Record<Tier, number>>;
  readonly prefixes: readonly string[];
}

/** One rule of a bucket, in nobody's dialect: the SDK's and Pulumi's are made from it. */
export interface LifecycleRule {
  readonly id: string;
  /** Keys that the rule is for, with the slash at the end; `""`: the whole bucket. */
  readonly prefix: string;
  /** Days until the current version expires. */
  readonly expirationDays?: number;
  /** Days until a version that was overwritten or deleted is gone for good. */
  readonly noncurrentDays?: number;
  /** Removes delete markers that have no version left behind them. */
  readonly expiredObjectDeleteMarker?: true;
  /** Days until an unfinished upload is removed. */
  readonly abortIncompleteMultipartDays?: number;
}

/**
 * The rules of a bucket of backups. Expiry by days and by marker are two rules, because S3 refuses both in one; the
 * removal of unfinished uploads is for the whole bucket, because some services refuse it with a prefix.
 * @param prefix folder, without slash at either end; `""`: the whole bucket
 * @param days until a backup expires
 * @param noncurrentDays until an overwritten or deleted backup is gone for good
 * @param abortDays until an unfinished upload is removed; must be longer than the longest upload
 * @param tiers rules of their own for the tiers' folders. S3 takes the earliest of the rules that match, so `days` must be
 * at least as long as each of them
 * @throws Problem when a number is not a positive integer, or `days` would expire a tier too early
 */
export function backupLifecycle({
  prefix,
  days,
  noncurrentDays,
  abortDays,
  tiers,
}: {
  readonly prefix: string;
  readonly days: number;
  readonly noncurrentDays: number;
  readonly abortDays: number;
  readonly tiers?: TierExpiry;
}): LifecycleRule[] {
  for (const [name, value] of Object.entries({ days, noncurrentDays, abortDays, ...tiers?.days })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new Problem(
        `${name} is ${value}; a lifecycle rule needs a whole number of days, 1 or more.`,
      );
    }
  }
  const longest = Math.max(0, ...Object.values(tiers?.days ?? {}));
  if (days < longest) {
    throw new Problem(
      `days is ${days}, but a tier is kept for ${longest}; the bucket would expire that one after ${days} days.`,
    );
  }
  const folder = prefix === "" ? "" : `${prefix}/`;
  return [
    { id: "expire", prefix: folder, expirationDays: days, noncurrentDays },
    ...(tiers === undefined ? [] : tierRules(tiers)),
    { id: "expired-markers", prefix: folder, expiredObjectDeleteMarker: true },
    { id: "abort-unfinished", prefix: "", abortIncompleteMultipartDays: abortDays },
  ];
}

function tierRules({ days, prefixes }: TierExpiry): LifecycleRule[] {
  return prefixes.flatMap((prefix) =>
    TIERS.map((tier) => ({
      id: `expire-${tier}-${prefix}`,
      prefix: `${prefix}/${tier}/`,
      expirationDays: days[tier],
    })),
  );
}
