import * as pulumi from "@pulumi/pulumi";
import type { LifecycleRule } from "../../storage/bucket/lifecycle.ts";
import { rulesFor } from "../../storage/bucket/lifecycleTranslation.ts";
import type { TierDays } from "../../storage/planning/retention.ts";
import type { BucketInputs } from "../internal/s3Bucket.ts";
import type { S3Connection } from "../internal/s3Connection.ts";
import type { LockSetting } from "../internal/s3Lock.ts";
import type { PublicAccessSetting } from "../internal/s3PublicAccessBlock.ts";
import type { VersioningSetting } from "../internal/s3Versioning.ts";
import { withDynamicProvider } from "../pulumi/dynamicPackage.ts";
import { logOf, reportProblems } from "../pulumi/resourceMessages.ts";
import { type Transform, transformed } from "../pulumi/transform.ts";
import { keepingOf } from "./bucketArgs.ts";
import type { BucketKeeping } from "./retentionCheck.ts";
import {
  connectionOf,
  modeOf,
  nothingPublic,
  ownRules,
  policyText,
  type ResolvedS3Bucket,
  resolveS3Bucket,
  type S3ServiceArgs,
  secretKeys,
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

export interface S3CompatibleBucketArgs extends S3ServiceArgs {
  /** Changes to what each child is asked for. How the bucket is reached cannot be changed here. */
  readonly transform?: {
    readonly bucket?: Transform<Omit<BucketInputs, "connection">>;
    readonly versioning?: Transform<VersioningSetting>;
    /** The rules before they get their owner's name. */
    readonly lifecycle?: Transform<{ readonly rules: readonly LifecycleRule[] }>;
    readonly publicAccessBlock?: Transform<PublicAccessSetting>;
    /** In a bucket taken over the statements of this package are known by their `Sid`, which begins with `KamalPostgresBackup`. */
    readonly policy?: Transform<{ readonly policy: string }>;
    readonly lock?: Transform<LockSetting>;
    readonly tagging?: Transform<{ readonly tags: Readonly<Record<string, pulumi.Input<string>>> }>;
  };
}

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
    const resolved = reportProblems(this, () => resolveS3Bucket(args, logOf(this)));
    const { address, abilities, plan } = resolved;

    const site = { parent: this, name, args, resolved, connection: connectionOf(args, address) };
    this.bucket = createBucket(site);
    // One after the other, in this order: expiry of old versions and lock need versioning.
    const settings = new Settings(site, this.bucket);
    this.versioning = createVersioning(settings);
    this.lifecycle = createLifecycle(settings);
    this.publicAccessBlock = createPublicAccessBlock(settings);
    this.policy = createPolicy(settings);
    this.lock = createLock(settings);
    this.tagging = createTagging(settings);

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

/** What the children are made from. */
interface Site {
  readonly parent: pulumi.Resource;
  readonly name: string;
  readonly args: S3CompatibleBucketArgs;
  readonly resolved: ResolvedS3Bucket;
  readonly connection: pulumi.Output<S3Connection>;
}

/** A bucket that survives must stay as safe as it was, so its settings survive with it. */
function optionsOf({ parent, args }: Site): pulumi.CustomResourceOptions {
  return { parent, retainOnDelete: args.forceDestroy !== true };
}

function createBucket(site: Site): S3Bucket {
  const { name, args, resolved, connection } = site;
  return new S3Bucket(
    name,
    {
      connection,
      ...transformed(args.transform?.bucket, {
        adopt: args.adopt ?? false,
        objectLock: args.lock !== undefined,
        versioned: resolved.abilities.versioning !== "none",
        forceDestroy: args.forceDestroy ?? false,
      }),
    },
    optionsOf(site),
  );
}

/**
 * The bucket's settings, made one after the other: services keep them in one record, and two changes at the same time can
 * lose one. They go with their bucket; one by one they would open it while it is being emptied.
 */
class Settings {
  readonly #made: pulumi.Resource[];
  readonly site: Site;
  readonly bucket: S3Bucket;

  constructor(site: Site, bucket: S3Bucket) {
    this.site = site;
    this.bucket = bucket;
    this.#made = [bucket];
  }

  next<T extends pulumi.Resource>(declare: (opts: pulumi.CustomResourceOptions) => T): T {
    const setting = declare({
      ...optionsOf(this.site),
      deletedWith: this.bucket,
      dependsOn: [...this.#made],
    });
    this.#made.push(setting);
    return setting;
  }
}

function createVersioning(settings: Settings): S3BucketVersioning | undefined {
  const { name, args, resolved, connection } = settings.site;
  if (!resolved.plan.versioning) return undefined;
  const setting = transformed(args.transform?.versioning, { status: "Enabled" });
  return settings.next(
    (opts) => new S3BucketVersioning(`${name}-versioning`, { connection, ...setting }, opts),
  );
}

function createLifecycle(settings: Settings): S3BucketLifecycleConfiguration | undefined {
  const { name, args, resolved, connection } = settings.site;
  const { plan, abilities, rules } = resolved;
  // A transform is called also where the service is not asked for it.
  const asked = transformed(args.transform?.lifecycle, { rules: rulesFor(abilities, rules) });
  if (!plan.lifecycle) return undefined;
  return settings.next(
    (opts) =>
      new S3BucketLifecycleConfiguration(
        `${name}-lifecycle`,
        { connection, ...ownRules(name, asked.rules) },
        opts,
      ),
  );
}

function createPublicAccessBlock(settings: Settings): S3BucketPublicAccessBlock | undefined {
  const { name, args, resolved, connection } = settings.site;
  if (!resolved.plan.publicAccessBlock) return undefined;
  const setting = transformed(args.transform?.publicAccessBlock, nothingPublic);
  return settings.next(
    (opts) =>
      new S3BucketPublicAccessBlock(
        `${name}-public-access-block`,
        { connection, ...setting },
        opts,
      ),
  );
}

function createPolicy(settings: Settings): S3BucketPolicy | undefined {
  const { name, args, resolved, connection } = settings.site;
  if (!resolved.plan.policy) return undefined;
  const setting = transformed(args.transform?.policy, {
    policy: policyText(args, resolved.address),
  });
  const shared = args.adopt ?? false;
  return settings.next(
    (opts) => new S3BucketPolicy(`${name}-policy`, { connection, ...setting, shared }, opts),
  );
}

function createLock(settings: Settings): S3BucketObjectLock | undefined {
  const { name, args, connection } = settings.site;
  const { lock, transform } = args;
  if (lock === undefined) return undefined;
  const setting = transformed(transform?.lock, { mode: modeOf(lock), days: lock.days });
  return settings.next(
    (opts) => new S3BucketObjectLock(`${name}-lock`, { connection, ...setting }, opts),
  );
}

function createTagging(settings: Settings): S3BucketTagging | undefined {
  const { name, args, connection } = settings.site;
  if (args.tags === undefined) return undefined;
  const { tags } = transformed(args.transform?.tagging, { tags: args.tags });
  return settings.next(
    (opts) =>
      new S3BucketTagging(`${name}-tagging`, { connection, tags: pulumi.output(tags) }, opts),
  );
}
