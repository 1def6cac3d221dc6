import { Problem } from "../../common/problem.ts";

/**
 * Days for which a stored backup cannot be deleted.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
 */
export type ObjectLock =
  | {
      /** Whoever holds `s3:BypassGovernanceRetention` can still delete. */
      readonly mode: "governance";
      readonly days: number;
    }
  | {
      /** Nobody can delete, not even the owner of the account. */
      readonly mode: "compliance";
      readonly days: number;
      /** Says that you know: every byte stored is billed for all the days, and nothing can shorten that. */
      readonly acceptCompliance: true;
    };

/**
 * Judges a lock beside the retention.
 * @throws Problem when it is not meant, or contradicts the retention
 */
export function checkLock(lock: ObjectLock, retentionDays: number): void {
  if (!Number.isSafeInteger(lock.days) || lock.days < 1) {
    throw new Problem(`lock.days is ${lock.days}; give whole days, 1 or more.`);
  }
  if (lock.days > retentionDays) {
    throw new Problem(
      `lock: backups expire after ${retentionDays} days, but would stay locked for ${lock.days}, hidden and billed. Lock for at most ${retentionDays} days, or keep them longer.`,
    );
  }
  if (lock.mode === "compliance" && lock.acceptCompliance !== true) {
    throw new Problem(
      `lock: in compliance mode nobody can delete a backup before ${lock.days} days are over, and you pay for all of them. Set acceptCompliance: true if that is meant, or use mode "governance".`,
    );
  }
}

/** What a compliance lock means, for the preview; undefined for the other mode. */
export function lockNotice(lock: ObjectLock): string | undefined {
  if (lock.mode !== "compliance") return undefined;
  return `lock: each backup is billed for ${lock.days} days whatever happens; neither an administrator nor the provider can delete it sooner.`;
}
