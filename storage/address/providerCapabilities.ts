/**
 * Which settings the buckets of a service accept through the S3 API, as the providers documented it in November 2026. A
 * service that learns more is no reason to wait for a new table: `S3CompatibleBucket` takes the difference as an argument.
 */
export interface BucketAbilities {
  /** Rules that expire objects by their age. */
  readonly lifecycle: boolean;
  /** A rule that removes unfinished uploads; false: the service removes them by itself, or never. */
  readonly abortUnfinished: boolean;
  /** Whether an overwritten or deleted object can be brought back. `always`: on, and it cannot be switched. */
  readonly versioning: "settable" | "always" | "none";
  /** `at-creation`: only for a bucket that was made with it. */
  readonly objectLock: "any-time" | "at-creation" | "none";
  /** Bucket policies in the language of AWS. */
  readonly bucketPolicy: boolean;
  /** Settings that forbid public access whatever a policy says. */
  readonly publicAccessBlock: boolean;
  /** Tags of the bucket itself. */
  readonly tags: boolean;
  /**
   * What the narrowest key that can still write backups is able to do to those that are there: `nothing`; `hide` them,
   * with the versions left; `delete` them.
   */
  readonly writerCan: "nothing" | "hide" | "delete";
  /** What to do about that, in one sentence, where something particular to the service helps. */
  readonly instead?: string;
}

/** AWS itself, and the starting point for whatever follows it closely. */
export const all: BucketAbilities = {
  lifecycle: true,
  abortUnfinished: true,
  versioning: "settable",
  objectLock: "any-time",
  bucketPolicy: true,
  publicAccessBlock: true,
  tags: true,
  writerCan: "nothing",
};

export const scaleway: BucketAbilities = {
  ...all,
  objectLock: "at-creation",
  // A dialect of its own, in which a policy shuts out everyone that it does not name.
  bucketPolicy: false,
  publicAccessBlock: false,
};

export const digitalOcean: BucketAbilities = {
  ...all,
  objectLock: "none",
  // A policy and keys limited to one bucket exclude each other there.
  bucketPolicy: false,
  publicAccessBlock: false,
  tags: false,
  writerCan: "delete",
};

export const hetzner: BucketAbilities = {
  ...all,
  objectLock: "at-creation",
  publicAccessBlock: false,
  tags: false,
  writerCan: "delete",
};

export const r2: BucketAbilities = {
  ...all,
  versioning: "none",
  objectLock: "none",
  bucketPolicy: false,
  publicAccessBlock: false,
  tags: false,
  writerCan: "delete",
  instead:
    "Add a bucket lock rule for the folder (Cloudflare's dashboard, or the resource cloudflare.R2BucketLock)",
};

export const b2: BucketAbilities = {
  ...all,
  versioning: "always",
  bucketPolicy: false,
  publicAccessBlock: false,
  tags: false,
  writerCan: "hide",
  instead: "Make the application key without the capability deleteFiles",
};

export const wasabi: BucketAbilities = { ...all, publicAccessBlock: false };

export const ovh: BucketAbilities = {
  ...all,
  lifecycle: false,
  abortUnfinished: false,
  bucketPolicy: false,
  publicAccessBlock: false,
};

export const linode: BucketAbilities = {
  ...all,
  objectLock: "none",
  publicAccessBlock: false,
  writerCan: "delete",
};

export const exoscale: BucketAbilities = {
  ...all,
  objectLock: "at-creation",
  bucketPolicy: false,
  publicAccessBlock: false,
};

export const ionos: BucketAbilities = { ...all, publicAccessBlock: false };

export const vultr: BucketAbilities = {
  ...all,
  objectLock: "none",
  bucketPolicy: false,
  publicAccessBlock: false,
  writerCan: "delete",
};

export const tigris: BucketAbilities = {
  ...all,
  abortUnfinished: false,
  versioning: "none",
  objectLock: "none",
  bucketPolicy: false,
  publicAccessBlock: false,
};

export const minio: BucketAbilities = {
  ...all,
  // It removes unfinished uploads by itself, and refuses the rule.
  abortUnfinished: false,
  objectLock: "at-creation",
  publicAccessBlock: false,
};

export const garage: BucketAbilities = {
  ...all,
  versioning: "none",
  objectLock: "none",
  bucketPolicy: false,
  publicAccessBlock: false,
  tags: false,
  writerCan: "delete",
};

export const ceph: BucketAbilities = { ...all, objectLock: "at-creation" };
