import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { Retention, type TierDays } from "../kamal/retention.ts";
import { checkEndpoint } from "../storage/address.ts";
import { backupLifecycle, type LifecycleRule, type TierExpiry } from "../storage/lifecycle.ts";
import { Problem } from "../storage/problem.ts";
import { explained } from "./explained.ts";
import { type BucketKeeping, serviceOf } from "./retentionCheck.ts";
import { type Transform, transformed } from "./transform.ts";

export interface AwsBackupBucketArgs {
  /**
   * How long a backup is kept; the bucket itself expires it, so no key on the database host needs the right to delete.
   * @example Retention.days(30)
   * @example Retention.tiers({ daily: 7, weekly: 35, monthly: 365 })
   */
  readonly retention: Retention;
  /**
   * Folders of the backups in the bucket, one for each `PostgresBackup`. Needed with `Retention.tiers`, since each tier's
   * rule is for a folder below.
   * @default none
   * @example ["shop/production"]
   */
  readonly prefixes?: readonly string[];
  /**
   * How long an overwritten or deleted object can still be brought back.
   * @default 14 days
   */
  readonly noncurrentRetention?: Retention;
  /**
   * Deletes the bucket with every backup in it on `pulumi destroy`. Without it `destroy` leaves bucket and backups alone.
   * @default false
   */
  readonly forceDestroy?: boolean;
  /**
   * Region of the bucket.
   * @default the region of the AWS provider
   */
  readonly region?: pulumi.Input<string>;
  /**
   * Address under which the containers reach S3, for instance a VPC interface endpoint.
   * @default the region's public address
   */
  readonly endpoint?: pulumi.Input<string>;
  /** Allows plain http to an `endpoint` that is not loopback. @default false */
  readonly allowInsecure?: boolean;
  readonly tags?: Record<string, pulumi.Input<string>>;
  /** Changes to the children's arguments. */
  readonly transform?: {
    readonly bucket?: Transform<aws.s3.BucketArgs>;
    readonly versioning?: Transform<aws.s3.BucketVersioningArgs>;
    readonly lifecycle?: Transform<aws.s3.BucketLifecycleConfigurationArgs>;
    readonly publicAccessBlock?: Transform<aws.s3.BucketPublicAccessBlockArgs>;
    readonly encryption?: Transform<aws.s3.BucketServerSideEncryptionConfigurationArgs>;
  };
}

/**
 * A bucket on AWS made for backups: private, encrypted, versioned, and expiring what is older than the retention.
 *
 * @example
 * const bucket = new AwsBackupBucket("shop-backups", { retention: Retention.days(30) });
 */
export class AwsBackupBucket extends pulumi.ComponentResource {
  readonly bucket: aws.s3.Bucket;
  readonly versioning: aws.s3.BucketVersioning;
  readonly lifecycle: aws.s3.BucketLifecycleConfiguration;
  readonly publicAccessBlock: aws.s3.BucketPublicAccessBlock;
  readonly encryption: aws.s3.BucketServerSideEncryptionConfiguration;

  /** Name of the bucket. */
  readonly bucketName: pulumi.Output<string>;
  readonly region: pulumi.Output<string>;
  readonly endpoint: pulumi.Output<string | undefined>;
  readonly allowInsecure: boolean;
  /** Days until a backup expires; with tiers: the longest. */
  readonly retentionDays: number;
  /** Days until a backup of each tier expires; undefined without tiers. */
  readonly tierDays: TierDays | undefined;
  /** Folders whose tiers have rules of their own. */
  readonly prefixes: readonly string[];
  /** How long it keeps what it is given. */
  readonly keeping: BucketKeeping;

  constructor(name: string, args: AwsBackupBucketArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kamal-postgres-backup:index:AwsBackupBucket", name, {}, opts);
    const { transform, endpoint } = args;
    // Said at once where it can be: an error in a value that others wait for is reported with all their names.
    if (typeof endpoint === "string")
      explained(this, () => checkEndpoint(endpoint, args.allowInsecure));
    // A bucket that survives must stay as safe as it was, so its settings survive with it.
    const child = { parent: this, retainOnDelete: args.forceDestroy !== true };
    const region = args.region === undefined ? {} : { region: args.region };

    this.bucket = new aws.s3.Bucket(
      name,
      transformed(transform?.bucket, {
        ...region,
        forceDestroy: args.forceDestroy ?? false,
        ...(args.tags && { tags: args.tags }),
      }),
      child,
    );
    const settingsOf = { ...region, bucket: this.bucket.bucket };
    this.publicAccessBlock = new aws.s3.BucketPublicAccessBlock(
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
    this.encryption = new aws.s3.BucketServerSideEncryptionConfiguration(
      `${name}-encryption`,
      transformed(transform?.encryption, {
        ...settingsOf,
        rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }],
      }),
      child,
    );
    this.versioning = new aws.s3.BucketVersioning(
      `${name}-versioning`,
      transformed(transform?.versioning, {
        ...settingsOf,
        versioningConfiguration: { status: "Enabled" },
      }),
      child,
    );
    const noncurrentDays = (args.noncurrentRetention ?? Retention.days(14)).days;
    const rules = explained(this, () =>
      backupLifecycle({
        prefix: "",
        days: args.retention.days,
        noncurrentDays,
        abortDays: 2,
        ...tiersOf(args),
      }),
    );
    this.lifecycle = new aws.s3.BucketLifecycleConfiguration(
      `${name}-lifecycle`,
      transformed(transform?.lifecycle, { ...settingsOf, rules: rules.map(toAwsRule) }),
      // Noncurrent expiry is refused on a bucket whose versioning is not on yet.
      { ...child, dependsOn: [this.versioning] },
    );

    this.bucketName = this.bucket.bucket;
    this.region = this.bucket.region;
    this.endpoint = pulumi.output(endpoint);
    this.allowInsecure = args.allowInsecure ?? false;
    this.retentionDays = args.retention.days;
    this.tierDays = args.retention.tierDays;
    this.prefixes = args.prefixes ?? [];
    this.keeping = {
      days: args.retention.tierDays?.daily ?? args.retention.days,
      ...(args.retention.tierDays && { tiers: args.retention.tierDays }),
      noncurrentDays,
      ...serviceOf(endpoint, args.region),
    };
    this.registerOutputs({
      bucketName: this.bucketName,
      region: this.region,
      endpoint: this.endpoint,
      retentionDays: this.retentionDays,
    });
  }
}

function tiersOf({ retention, prefixes = [] }: AwsBackupBucketArgs): { tiers?: TierExpiry } {
  if (retention.tierDays === undefined) return {};
  if (prefixes.length === 0) {
    throw new Problem(
      'prefixes: Retention.tiers needs the folders of the backups, since each tier has a rule of its own below them. Give for instance prefixes: ["shop/production"].',
    );
  }
  for (const prefix of prefixes) {
    if (prefix === "" || prefix.startsWith("/") || prefix.endsWith("/")) {
      throw new Problem(
        `prefixes: "${prefix}" must be a folder without slash at either end, for instance "shop/production".`,
      );
    }
  }
  return { tiers: { days: retention.tierDays, prefixes } };
}

function toAwsRule(rule: LifecycleRule): aws.types.input.s3.BucketLifecycleConfigurationRule {
  return {
    id: rule.id,
    status: "Enabled",
    filter: rule.prefix === "" ? {} : { prefix: rule.prefix },
    ...(rule.expirationDays !== undefined && { expiration: { days: rule.expirationDays } }),
    ...(rule.expiredObjectDeleteMarker && { expiration: { expiredObjectDeleteMarker: true } }),
    ...(rule.noncurrentDays !== undefined && {
      noncurrentVersionExpiration: { noncurrentDays: rule.noncurrentDays },
    }),
    ...(rule.abortIncompleteMultipartDays !== undefined && {
      abortIncompleteMultipartUpload: { daysAfterInitiation: rule.abortIncompleteMultipartDays },
    }),
  };
}
