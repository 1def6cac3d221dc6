import * as pulumi from "@pulumi/pulumi";
import { rulesFor } from "../../storage/bucket/lifecycleS3.ts";
import type { TierDays } from "../../storage/planning/retention.ts";
import { withDynamicProvider } from "../pulumi/dynamicPackage.ts";
import { explained } from "../pulumi/resourceError.ts";
import { transformed } from "../pulumi/transform.ts";
import { keepingOf } from "./bucketArgs.ts";
import type { BucketKeeping } from "./retentionCheck.ts";
import type { S3CompatibleBucketArgs } from "./s3CompatibleBucketArgs.ts";
import {
  connect,
  modeOf,
  nothingPublic,
  ownRules,
  policyText,
  secretKeys,
  settle,
  warningsOf,
} from "./s3CompatibleSettings.ts";
import {
  S3Bucket,
  S3BucketLifecycleConfiguration,
  S3BucketObjectLock,
  S3BucketPolicy,
  S3BucketPublicAccessBlock,
  S3BucketTagging,
  S3BucketVersioning,
} from "./s3Resources.ts";

/**
 * A bucket for backups at any service that speaks S3: Scaleway, R2, B2, Hetzner, DigitalOcean, OVHcloud, MinIO, Ceph ...
 * It keeps what `AwsBackupBucket` promises as far as the service can, and says at preview what it cannot.
 *
 * The user's own lifecycle rules in the bucket survive. `pulumi destroy` leaves the bucket, its settings and every
 * backup where they are, unless `forceDestroy` is set.
 *
 * @example
 * const bucket = new S3CompatibleBucket("shop-backups", {
 *   name: "shop-backups",
 *   endpoint: "https://s3.fr-par.scw.cloud",
 *   region: "fr-par",
 *   retention: Retention.days(30),
 *   administrator: {
 *     accessKeyId: config.require("administratorKeyId"),
 *     secretAccessKey: config.requireSecret("administratorSecret"),
 *   },
 *   writer: {
 *     accessKeyId: config.require("writerKeyId"),
 *     secretAccessKey: config.requireSecret("writerSecret"),
 *   },
 * });
 */
export class S3CompatibleBucket extends pulumi.ComponentResource {
  readonly bucket: S3Bucket;
  /** Undefined, as each of the following, where the service is not asked for it. */
  readonly versioning: S3BucketVersioning | undefined;
  readonly lifecycle: S3BucketLifecycleConfiguration | undefined;
  readonly publicAccessBlock: S3BucketPublicAccessBlock | undefined;
  readonly policy: S3BucketPolicy | undefined;
  readonly lock: S3BucketObjectLock | undefined;
  readonly tagging: S3BucketTagging | undefined;

  /** Name of the bucket. */
  readonly bucketName: pulumi.Output<string>;
  readonly region: string;
  readonly endpoint: string | undefined;
  readonly allowInsecure: boolean;
  readonly caFile: string | undefined;
  /** Keys for the container. */
  readonly writer: {
    readonly accessKeyId: pulumi.Output<string>;
    readonly secretAccessKey: pulumi.Output<string>;
  };
  /** Days until a backup expires, with tiers the longest; undefined where the service expires nothing. */
  readonly retentionDays: number | undefined;
  /** Days until a backup of each tier expires; undefined without tiers, or where the service expires nothing. */
  readonly tierDays: TierDays | undefined;
  /** Folder that expiry is for; "": the whole bucket. */
  readonly prefix: string;
  /** Whether the backups go into a folder for each tier. */
  readonly tiered: boolean;
  /** How long it keeps what it is given; undefined where the service expires nothing. */
  readonly keeping: BucketKeeping | undefined;

  constructor(name: string, args: S3CompatibleBucketArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kamal-postgres-backup:index:S3CompatibleBucket", name, {}, withDynamicProvider(opts));
    const { address, abilities, plan, rules } = explained(this, () => settle(args));
    for (const sentence of warningsOf(args, address, plan)) pulumi.log.warn(sentence, this);

    const { transform, lock, tags } = args;
    const connection = connect(args, address);
    const kept = { parent: this, retainOnDelete: args.forceDestroy !== true };
    this.bucket = new S3Bucket(
      name,
      {
        connection,
        ...transformed(transform?.bucket, {
          adopt: args.adopt ?? false,
          objectLock: lock !== undefined,
          versioned: abilities.versioning !== "none",
          forceDestroy: args.forceDestroy ?? false,
        }),
      },
      kept,
    );
    // Settings go with their bucket; one by one they would open it while it is being emptied. They are made one after
    // the other: services keep them in one record, and two changes at the same time can lose one. Versioning is first,
    // because expiry of old versions and lock need it.
    const made: pulumi.Resource[] = [this.bucket];
    const next = <T extends pulumi.Resource>(
      declare: ((opts: pulumi.CustomResourceOptions) => T) | false | undefined,
    ): T | undefined => {
      if (!declare) return undefined;
      const setting = declare({ ...kept, deletedWith: this.bucket, dependsOn: [...made] });
      made.push(setting);
      return setting;
    };
    this.versioning = next(
      plan.versioning &&
        ((child) =>
          new S3BucketVersioning(
            `${name}-versioning`,
            { connection, ...transformed(transform?.versioning, { status: "Enabled" }) },
            child,
          )),
    );
    const asked = transformed(transform?.lifecycle, { rules: rulesFor(abilities, rules) });
    this.lifecycle = next(
      plan.lifecycle &&
        ((child) =>
          new S3BucketLifecycleConfiguration(
            `${name}-lifecycle`,
            { connection, ...ownRules(name, asked.rules) },
            child,
          )),
    );
    this.publicAccessBlock = next(
      plan.publicAccessBlock &&
        ((child) =>
          new S3BucketPublicAccessBlock(
            `${name}-public-access-block`,
            { connection, ...transformed(transform?.publicAccessBlock, nothingPublic) },
            child,
          )),
    );
    this.policy = next(
      plan.policy &&
        ((child) =>
          new S3BucketPolicy(
            `${name}-policy`,
            {
              connection,
              ...transformed(transform?.policy, { policy: policyText(args, address) }),
              shared: args.adopt ?? false,
            },
            child,
          )),
    );
    this.lock = next(
      lock &&
        ((child) =>
          new S3BucketObjectLock(
            `${name}-lock`,
            {
              connection,
              ...transformed(transform?.lock, { mode: modeOf(lock), days: lock.days }),
            },
            child,
          )),
    );
    this.tagging = next(
      tags &&
        ((child) =>
          new S3BucketTagging(
            `${name}-tagging`,
            { connection, tags: pulumi.output(transformed(transform?.tagging, { tags }).tags) },
            child,
          )),
    );

    this.bucketName = this.bucket.urn.apply(() => address.bucket);
    this.region = address.region;
    this.endpoint = address.endpoint;
    this.allowInsecure = args.allowInsecure ?? false;
    this.caFile = args.caFile;
    this.writer = secretKeys(args.writer ?? args.administrator);
    this.retentionDays = plan.lifecycle ? args.retention.days : undefined;
    this.tierDays = plan.lifecycle ? args.retention.tierDays : undefined;
    this.prefix = args.prefix ?? "";
    this.tiered = args.retention.tierDays !== undefined;
    this.keeping = plan.lifecycle
      ? keepingOf(args, address.provider.name, abilities.versioning !== "none")
      : undefined;
    this.registerOutputs({
      bucketName: this.bucketName,
      region: this.region,
      endpoint: this.endpoint,
      retentionDays: this.retentionDays,
    });
  }
}
