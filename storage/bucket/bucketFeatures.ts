import { Problem } from "../../common/problem.ts";
import type { BucketAbilities } from "../address/providerCapabilities.ts";

/** What a bucket of backups is wanted to be. */
export interface BucketWishes {
  /** Default retention that nobody can shorten. */
  readonly lock: boolean;
  /** Tags on the bucket itself. @default false */
  readonly tags?: boolean;
}

/** What is asked of the service, and what the user has to know. */
export interface BucketPlan {
  readonly lifecycle: boolean;
  readonly versioning: boolean;
  readonly policy: boolean;
  readonly publicAccessBlock: boolean;
  /** One sentence for each promise that this service cannot keep. */
  readonly warnings: readonly string[];
}

/**
 * Decides what is asked of a bucket at this service.
 * @param service its name, for the sentences
 * @throws Problem when a wish cannot be granted at all
 */
export function planBucket(
  service: string,
  abilities: BucketAbilities,
  wishes: BucketWishes,
): BucketPlan {
  const { lifecycle, abortUnfinished, versioning, objectLock } = abilities;
  if (wishes.lock && objectLock === "none") {
    throw new Problem(
      `lock: ${service} has no Object Lock. Leave lock out${abilities.instead ? `. ${abilities.instead}` : ""}, or use another provider.`,
    );
  }
  if (wishes.tags && !abilities.tags) {
    throw new Problem(
      `tags: ${service} has no tags for buckets. Leave tags out, or set abilities: { tags: true } if it has learned them.`,
    );
  }
  const warnings = [
    !lifecycle &&
      `${service} has no expiry rules: nothing removes old backups. Give the backup keep, and a key that may delete, or remove them from elsewhere.`,
    lifecycle &&
      !abortUnfinished &&
      `${service} takes no rule for unfinished uploads: parts of an upload that was cut off may stay and be billed. Look for them now and then.`,
    versioning === "none" &&
      `${service} keeps no old versions: a backup that is overwritten or deleted is gone at once.`,
    ...(wishes.lock ? [] : [stolenKey(service, abilities)]),
  ];
  return {
    lifecycle,
    versioning: versioning === "settable",
    policy: abilities.bucketPolicy,
    publicAccessBlock: abilities.publicAccessBlock,
    warnings: warnings.filter((warning) => typeof warning === "string"),
  };
}

function stolenKey(service: string, { writerCan, objectLock, instead }: BucketAbilities) {
  if (writerCan === "nothing") return false;
  const remedy =
    instead ??
    (objectLock === "none"
      ? "Keep a second copy at another provider, with a key that this host never sees"
      : "Turn on lock, so that a backup stays for a number of days whoever deletes it");
  return writerCan === "delete"
    ? `on ${service} a stolen key can delete backups, because its keys cannot be limited to adding. ${remedy}.`
    : `on ${service} a stolen key can hide backups, whose versions stay. ${remedy}.`;
}
