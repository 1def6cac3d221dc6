import type * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { checkEndpoint } from "../../storage/address/address.ts";
import { lockNotice } from "../../storage/bucket/objectLock.ts";
import type { TierDays } from "../../storage/planning/retention.ts";
import { awsSdk } from "../pulumi/loadAws.ts";
import { explained } from "../pulumi/resourceError.ts";
import { transformed } from "../pulumi/transform.ts";
import type { AwsBackupBucketArgs } from "./awsBackupBucketArgs.ts";
import { encryptionRules, lockRule, policyText, toAwsRule } from "./awsBucketSettings.ts";
import { keepingOf, settleRules } from "./bucketArgs.ts";
import { type BucketKeeping, providerOf } from "./retentionCheck.ts";

/**
 * A bucket on AWS made for backups: private, encrypted, versioned, expiring what is older than the retention, and closed
 * to plain http, to overwriting and to encryption keys of a caller's own.
 *
 * `pulumi destroy` leaves the bucket, its settings and every backup where they are and only forgets them, unless
 * `forceDestroy` is set. To make `destroy` fail instead, add Pulumi's own option: `{ protect: true }`.
 *
 * @example
 * const bucket = new AwsBackupBucket("shop-backups", { retention: Retention.days(30) });
 * @example
 * // A bucket that exists already, taken into the stack with everything in it.
 * const bucket = new AwsBackupBucket("shop-backups", {
 *   retention: Retention.days(30),
 *   import: "backups-of-the-shop",
 *   prefix: "shop",
 * });
 */
export class AwsBackupBucket extends pulumi.ComponentResource {
  readonly bucket: aws.s3.Bucket;
  readonly ownership: aws.s3.BucketOwnershipControls;
  readonly publicAccessBlock: aws.s3.BucketPublicAccessBlock;
  readonly encryption: aws.s3.BucketServerSideEncryptionConfiguration;
  readonly policy: aws.s3.BucketPolicy;
  readonly versioning: aws.s3.BucketVersioning;
  readonly lifecycle: aws.s3.BucketLifecycleConfiguration;
  /** Undefined without `lock`. */
  readonly lock: aws.s3.BucketObjectLockConfiguration | undefined;

  /** Name of the bucket. */
  readonly bucketName: pulumi.Output<string>;
  readonly region: pulumi.Output<string>;
  readonly endpoint: pulumi.Output<string | undefined>;
  readonly allowInsecure: boolean;
  /** ARN of the KMS key that whoever writes or reads must be allowed to use; undefined without one. */
  readonly kmsKey: pulumi.Output<string> | undefined;
  /** Days until a backup expires; with tiers: the longest. */
  readonly retentionDays: number;
  /** Days until a backup of each tier expires; undefined without tiers. */
  readonly tierDays: TierDays | undefined;
  /** Folder that expiry is for; "": the whole bucket. */
  readonly prefix: string;
  /** Whether the backups go into a folder for each tier. */
  readonly tiered: boolean;
  /** How long it keeps what it is given. */
  readonly keeping: BucketKeeping;

  constructor(name: string, args: AwsBackupBucketArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kamal-postgres-backup:index:AwsBackupBucket", name, {}, opts);
    const { transform, endpoint, lock } = args;
    const s3 = awsSdk.s3();
    // Said at once where it can be: an error in a value that others wait for is reported with all their names.
    const rules = explained(this, () => {
      if (typeof endpoint === "string") checkEndpoint(endpoint, args.allowInsecure);
      return settleRules(args, args.import === undefined ? undefined : "import");
    });
    const notice = lock && lockNotice(lock);
    if (notice !== undefined) pulumi.log.warn(notice, this);

    // A bucket that survives must stay as safe as it was, so its settings survive with it.
    const kept = { parent: this, retainOnDelete: args.forceDestroy !== true };
    const region = args.region === undefined ? {} : { region: args.region };
    this.bucket = new s3.Bucket(
      name,
      transformed(transform?.bucket, {
        ...region,
        ...(args.import !== undefined && { bucket: args.import }),
        forceDestroy: args.forceDestroy ?? false,
        ...(args.tags && { tags: args.tags }),
      }),
      { ...kept, ...(args.import !== undefined && { import: args.import }) },
    );

    const settingsOf = { ...region, bucket: this.bucket.bucket };
    // Settings go with their bucket; one by one they would open it while it is being emptied.
    const child = { ...kept, deletedWith: this.bucket };
    this.ownership = new s3.BucketOwnershipControls(
      `${name}-ownership`,
      transformed(transform?.ownership, {
        ...settingsOf,
        rule: { objectOwnership: "BucketOwnerEnforced" },
      }),
      child,
    );
    this.publicAccessBlock = new s3.BucketPublicAccessBlock(
      `${name}-public-access-block`,
      transformed(transform?.publicAccessBlock, {
        ...settingsOf,
        blockPublicAcls: true,
        blockPublicPolicy: true,
        ignorePublicAcls: true,
        restrictPublicBuckets: true,
      }),
      child,
    );
    this.encryption = new s3.BucketServerSideEncryptionConfiguration(
      `${name}-encryption`,
      transformed(transform?.encryption, { ...settingsOf, rules: encryptionRules(args.kmsKey) }),
      child,
    );
    this.policy = new s3.BucketPolicy(
      `${name}-policy`,
      transformed(transform?.policy, {
        ...settingsOf,
        policy: policyText(this.bucket.arn, args),
      }),
      // S3 refuses two changes of a bucket's access at the same time.
      { ...child, dependsOn: [this.publicAccessBlock] },
    );
    this.versioning = new s3.BucketVersioning(
      `${name}-versioning`,
      transformed(transform?.versioning, {
        ...settingsOf,
        versioningConfiguration: { status: "Enabled" },
      }),
      child,
    );
    // Noncurrent expiry and lock are refused on a bucket whose versioning is not on yet.
    const versioned = { ...child, dependsOn: [this.versioning] };
    this.lifecycle = new s3.BucketLifecycleConfiguration(
      `${name}-lifecycle`,
      transformed(transform?.lifecycle, { ...settingsOf, rules: rules.map(toAwsRule) }),
      versioned,
    );
    this.lock =
      lock &&
      new s3.BucketObjectLockConfiguration(
        `${name}-lock`,
        transformed(transform?.lock, { ...settingsOf, rule: lockRule(lock) }),
        versioned,
      );

    this.bucketName = this.bucket.bucket;
    this.region = this.bucket.region;
    this.endpoint = pulumi.output(endpoint);
    this.allowInsecure = args.allowInsecure ?? false;
    this.kmsKey = args.kmsKey === undefined ? undefined : pulumi.output(args.kmsKey);
    this.retentionDays = args.retention.days;
    this.tierDays = args.retention.tierDays;
    this.prefix = args.prefix ?? "";
    this.tiered = this.tierDays !== undefined;
    this.keeping = keepingOf(args, providerOf(endpoint).name);
    this.registerOutputs({
      bucketName: this.bucketName,
      region: this.region,
      endpoint: this.endpoint,
      retentionDays: this.retentionDays,
    });
  }
}
