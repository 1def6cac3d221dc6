import type * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";
import { checkEndpoint, checkServiceAddress } from "../../storage/address/address.ts";
import type { LifecycleRule, Transition } from "../../storage/bucket/lifecycle.ts";
import { lockNotice } from "../../storage/bucket/objectLock.ts";
import type { TierDays } from "../../storage/planning/retention.ts";
import { awsSdk } from "../pulumi/loadAws.ts";
import { logOf, type ResourceLog, reportProblems } from "../pulumi/resourceMessages.ts";
import { addressNames, settingNamesOf } from "../pulumi/settingNames.ts";
import { type Transform, transformed } from "../pulumi/transform.ts";
import { encryptionRules, lockRule, policyText, toAwsRule } from "./awsBucketSettings.ts";
import { type BackupBucketArgs, keepingOf, resolveRules } from "./bucketArgs.ts";
import { type BucketKeeping, providerOf } from "./retentionCheck.ts";

export interface AwsBackupBucketArgs extends BackupBucketArgs {
  /**
   * Name of a bucket that exists: it is taken into the stack, and its lifecycle, policy and other settings become those
   * declared here. Leave the argument in the program afterwards.
   * @default a new bucket under a generated name
   */
  readonly import?: string;
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
  /**
   * ARN of the KMS key that encrypts the backups. The container's key gets the right to use it; the key's own policy
   * must allow that too.
   * @default S3's own keys (SSE-S3)
   */
  readonly kmsKey?: pulumi.Input<string>;
  /**
   * Refuses an upload to a key that exists, by policy: whatever writes must ask with `If-None-Match: *`, as the
   * container does. Copying an object into the bucket becomes impossible.
   * @default true
   */
  readonly denyOverwrite?: boolean;
  /**
   * Moves older backups to cheaper storage classes. Those have minimum storage periods and prices for reading.
   * @default none
   * @example [{ days: 30, storageClass: "STANDARD_IA" }]
   */
  readonly transitions?: readonly Transition[];
  readonly tags?: Record<string, pulumi.Input<string>>;
  /** Changes to the children's arguments. */
  readonly transform?: {
    readonly bucket?: Transform<aws.s3.BucketArgs>;
    readonly ownership?: Transform<aws.s3.BucketOwnershipControlsArgs>;
    readonly publicAccessBlock?: Transform<aws.s3.BucketPublicAccessBlockArgs>;
    readonly encryption?: Transform<aws.s3.BucketServerSideEncryptionConfigurationArgs>;
    readonly policy?: Transform<aws.s3.BucketPolicyArgs>;
    readonly versioning?: Transform<aws.s3.BucketVersioningArgs>;
    readonly lifecycle?: Transform<aws.s3.BucketLifecycleConfigurationArgs>;
    readonly lock?: Transform<aws.s3.BucketObjectLockConfigurationArgs>;
  };
}

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
    const rules = reportProblems(this, () => resolveAwsBucket(args, logOf(this)));

    this.bucket = createBucket(this, name, args);
    const settings = settingsOn(this, name, args);
    this.ownership = createOwnership(settings);
    this.publicAccessBlock = createPublicAccessBlock(settings);
    this.encryption = createEncryption(settings);
    this.policy = createPolicy(settings, this.publicAccessBlock);
    this.versioning = createVersioning(settings);
    this.lifecycle = createLifecycle(settings, this.versioning, rules);
    this.lock = createLock(settings, this.versioning);

    this.bucketName = this.bucket.bucket;
    this.region = this.bucket.region;
    this.endpoint = pulumi.output(args.endpoint);
    this.allowInsecure = args.allowInsecure ?? false;
    this.kmsKey = args.kmsKey === undefined ? undefined : pulumi.output(args.kmsKey);
    this.retentionDays = args.retention.days;
    this.tierDays = args.retention.tierDays;
    this.prefix = args.prefix ?? "";
    this.tiered = this.tierDays !== undefined;
    this.keeping = keepingOf(args, providerOf(args.endpoint).name);
    this.registerOutputs({
      bucketName: this.bucketName,
      region: this.region,
      endpoint: this.endpoint,
      retentionDays: this.retentionDays,
    });
  }
}

/** Where the AWS provider has its keys from, in a stack's configuration. */
const PROVIDER_KEYS = { accessKeyId: "aws:accessKey", secretAccessKey: "aws:secretKey" };

/**
 * Checks the arguments before anything is made.
 * @returns the rules of the bucket
 * @throws Problem that names the argument
 */
function resolveAwsBucket(args: AwsBackupBucketArgs, log: ResourceLog): LifecycleRule[] {
  const { endpoint, allowInsecure, lock } = args;
  const name = settingNamesOf(args);
  // Judged at once where it can be: an error in a value that others wait for is reported with all their names.
  if (typeof endpoint === "string") {
    const isNamed = args.import !== undefined || args.transform?.bucket !== undefined;
    const check = isNamed ? checkEndpoint : checkServiceAddress;
    check(endpoint, allowInsecure, addressNames(name, PROVIDER_KEYS));
  }
  const takenBy = args.import === undefined ? undefined : "import";
  const rules = resolveRules(args, { takenBy, name });
  const notice = lock && lockNotice(lock);
  if (notice !== undefined) log.warn(notice);
  return rules;
}

/** A bucket that survives must stay as safe as it was, so its settings survive with it. */
function survival({ forceDestroy }: AwsBackupBucketArgs) {
  return { retainOnDelete: forceDestroy !== true };
}

function regionOf({ region }: AwsBackupBucketArgs) {
  return region === undefined ? {} : { region };
}

function createBucket(
  parent: pulumi.Resource,
  name: string,
  args: AwsBackupBucketArgs,
): aws.s3.Bucket {
  const taken = args.import;
  return new (awsSdk.s3().Bucket)(
    name,
    transformed(args.transform?.bucket, {
      ...regionOf(args),
      ...(taken !== undefined && { bucket: taken }),
      forceDestroy: args.forceDestroy ?? false,
      ...(args.tags && { tags: args.tags }),
    }),
    { parent, ...survival(args), ...(taken !== undefined && { import: taken }) },
  );
}

/** What the settings of one bucket share. */
interface Settings {
  readonly s3: typeof aws.s3;
  readonly name: string;
  readonly args: AwsBackupBucketArgs;
  readonly bucket: aws.s3.Bucket;
  /** Which bucket they are of. */
  readonly of: { readonly region?: pulumi.Input<string>; readonly bucket: pulumi.Output<string> };
  readonly opts: pulumi.CustomResourceOptions;
}

function settingsOn(
  component: pulumi.Resource & { readonly bucket: aws.s3.Bucket },
  name: string,
  args: AwsBackupBucketArgs,
): Settings {
  const { bucket } = component;
  return {
    s3: awsSdk.s3(),
    name,
    args,
    bucket,
    of: { ...regionOf(args), bucket: bucket.bucket },
    // Settings go with their bucket; one by one they would open it while it is being emptied.
    opts: { parent: component, ...survival(args), deletedWith: bucket },
  };
}

function createOwnership({ s3, name, args, of, opts }: Settings): aws.s3.BucketOwnershipControls {
  return new s3.BucketOwnershipControls(
    `${name}-ownership`,
    transformed(args.transform?.ownership, {
      ...of,
      rule: { objectOwnership: "BucketOwnerEnforced" },
    }),
    opts,
  );
}

function createPublicAccessBlock({
  s3,
  name,
  args,
  of,
  opts,
}: Settings): aws.s3.BucketPublicAccessBlock {
  return new s3.BucketPublicAccessBlock(
    `${name}-public-access-block`,
    transformed(args.transform?.publicAccessBlock, {
      ...of,
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    }),
    opts,
  );
}

function createEncryption({
  s3,
  name,
  args,
  of,
  opts,
}: Settings): aws.s3.BucketServerSideEncryptionConfiguration {
  return new s3.BucketServerSideEncryptionConfiguration(
    `${name}-encryption`,
    transformed(args.transform?.encryption, { ...of, rules: encryptionRules(args.kmsKey) }),
    opts,
  );
}

/** After the block of public access: S3 refuses two changes of a bucket's access at the same time (OperationAborted). */
function createPolicy(
  { s3, name, args, bucket, of, opts }: Settings,
  publicAccessBlock: aws.s3.BucketPublicAccessBlock,
): aws.s3.BucketPolicy {
  return new s3.BucketPolicy(
    `${name}-policy`,
    transformed(args.transform?.policy, { ...of, policy: policyText(bucket.arn, args) }),
    { ...opts, dependsOn: [publicAccessBlock] },
  );
}

function createVersioning({ s3, name, args, of, opts }: Settings): aws.s3.BucketVersioning {
  return new s3.BucketVersioning(
    `${name}-versioning`,
    transformed(args.transform?.versioning, {
      ...of,
      versioningConfiguration: { status: "Enabled" },
    }),
    opts,
  );
}

/** Noncurrent expiry is refused on a bucket whose versioning is not on yet. */
function createLifecycle(
  { s3, name, args, of, opts }: Settings,
  versioning: aws.s3.BucketVersioning,
  rules: readonly LifecycleRule[],
): aws.s3.BucketLifecycleConfiguration {
  return new s3.BucketLifecycleConfiguration(
    `${name}-lifecycle`,
    transformed(args.transform?.lifecycle, { ...of, rules: rules.map(toAwsRule) }),
    { ...opts, dependsOn: [versioning] },
  );
}

/** So is a lock (Amazon S3 User Guide, "Configuring S3 Object Lock": it works only in buckets with versioning). */
function createLock(
  { s3, name, args, of, opts }: Settings,
  versioning: aws.s3.BucketVersioning,
): aws.s3.BucketObjectLockConfiguration | undefined {
  const { lock, transform } = args;
  if (lock === undefined) return undefined;
  return new s3.BucketObjectLockConfiguration(
    `${name}-lock`,
    transformed(transform?.lock, { ...of, rule: lockRule(lock) }),
    { ...opts, dependsOn: [versioning] },
  );
}
