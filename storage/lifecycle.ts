import { Problem } from "./problem.ts";

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
 * @throws Problem when a number is not a positive integer
 */
export function backupLifecycle({
  prefix,
  days,
  noncurrentDays,
  abortDays,
}: {
  readonly prefix: string;
  readonly days: number;
  readonly noncurrentDays: number;
  readonly abortDays: number;
}): LifecycleRule[] {
  for (const [name, value] of Object.entries({ days, noncurrentDays, abortDays })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new Problem(
        `${name} is ${value}; a lifecycle rule needs a whole number of days, 1 or more.`,
      );
    }
  }
  const folder = prefix === "" ? "" : `${prefix}/`;
  return [
    { id: "expire", prefix: folder, expirationDays: days, noncurrentDays },
    { id: "expired-markers", prefix: folder, expiredObjectDeleteMarker: true },
    { id: "abort-unfinished", prefix: "", abortIncompleteMultipartDays: abortDays },
  ];
}
