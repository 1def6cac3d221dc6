import * as pulumi from "@pulumi/pulumi";
import type { iam, object } from "@pulumiverse/scaleway";
import { parseAddress } from "../../storage/address/address.ts";
import type { LifecycleRule } from "../../storage/bucket/lifecycle.ts";
import { lockNotice } from "../../storage/bucket/objectLock.ts";
import type { KeyAccess } from "../../storage/bucket/probeKey.ts";
import { scalewayPermissionSets, scalewayPolicy } from "../../storage/bucket/scalewayPolicy.ts";
import type { TierDays } from "../../storage/planning/retention.ts";
import { logOf, type ResourceLog, reportProblems } from "../pulumi/resourceMessages.ts";
import { scaleway } from "../pulumi/scalewayPackage.ts";
import { addressNames, settingNamesOf } from "../pulumi/settingNames.ts";
import { type Transform, transformed } from "../pulumi/transform.ts";
import type { KeysArgs } from "./backupKeys.ts";
import type { BucketWithKeys } from "./bucket.ts";
import { type BackupBucketArgs, keepingOf, resolveRules } from "./bucketArgs.ts";
import { type BucketKeeping, providerOf } from "./retentionCheck.ts";
import {
  administratorsOf,
  checkAdministrators,
  checkRegion,
  toScalewayRule,
} from "./scalewaySettings.ts";

export interface ScalewayBackupBucketArgs extends Omit<BackupBucketArgs, "allowInsecure"> {
  /** Name of the bucket. */
  readonly name: string;
  /** @example "fr-par" */
  readonly region: string;
  /**
   * Project of the bucket and of the container's key. One for backups alone: Scaleway's permission sets hold for a whole
   * project, so the key may also add and delete in every other bucket there that has no policy.
   */
  readonly projectId: pulumi.Input<string>;
  /**
   * Who keeps every right in the bucket, which shuts out all others: at least whoever runs Pulumi, as `user_id:ID` or
   * `application_id:ID`. If that one is missing, only the owner of the organisation can mend it.
   * @example ["application_id:11111111-1111-1111-1111-111111111111"]
   */
  readonly administrators: readonly pulumi.Input<string>[];
  /** What the container's key may do, and when it is replaced. @default it may add, list and read backups */
  readonly keys?: KeysArgs;
  /** @default none */
  readonly tags?: Readonly<Record<string, pulumi.Input<string>>>;
  /** Changes to the children's arguments. */
  readonly transform?: {
    readonly bucket?: Transform<object.BucketArgs>;
    readonly lock?: Transform<object.BucketLockConfigurationArgs>;
    readonly bucketPolicy?: Transform<object.BucketPolicyArgs>;
    readonly application?: Transform<iam.ApplicationArgs>;
    readonly policy?: Transform<iam.PolicyArgs>;
    readonly key?: Transform<iam.ApiKeyArgs>;
  };
}

/**
 * A bucket for backups at Scaleway together with the container's key: versioned, expiring what is older than the
 * retention, and with a policy by which the key can add backups under the folder, list and read them there if wanted, and
 * neither delete nor change a rule. Overwriting is not refused; what was overwritten stays as a version for
 * `noncurrentRetention`. Object Lock must be asked for when the bucket is made.
 *
 * It was tried against the types of `@pulumiverse/scaleway` 1.54.0 and Scaleway's documentation, not against the service
 * itself. The first `pulumi up` tries the key for what it must and must not be able to do, and says what it finds.
 *
 * `pulumi destroy` leaves the bucket, its settings and every backup where they are, unless `forceDestroy` is set; the
 * container's key goes.
 *
 * @example
 * import { ScalewayBackupBucket } from "kamal-postgres-backup/scaleway";
 *
 * const bucket = new ScalewayBackupBucket("shop-backups", {
 *   name: "shop-backups",
 *   region: "fr-par",
 *   projectId: config.require("backupProject"),
 *   administrators: [`application_id:${config.require("deployer")}`],
 *   prefix: "shop",
 *   retention: Retention.days(30),
 * });
 */
export class ScalewayBackupBucket extends pulumi.ComponentResource implements BucketWithKeys {
  readonly bucket: object.Bucket;
  /** Undefined without `lock`. */
  readonly lock: object.BucketLockConfiguration | undefined;
  readonly bucketPolicy: object.BucketPolicy;
  /** Whose key is in the container. */
  readonly application: iam.Application;
  readonly policy: iam.Policy;
  readonly key: iam.ApiKey;

  /** Name of the bucket. */
  readonly bucketName: pulumi.Output<string>;
  readonly region: string;
  readonly endpoint: string;
  readonly allowInsecure = false;
  readonly writer: BucketWithKeys["writer"];
  readonly keyAccess: KeyAccess;
  /** Days until a backup expires, with tiers the longest. */
  readonly retentionDays: number;
  /** Days until a backup of each tier expires; undefined without tiers. */
  readonly tierDays: TierDays | undefined;
  /** Folder that expiry and key are for; "": the whole bucket. */
  readonly prefix: string;
  /** Whether the backups go into a folder for each tier. */
  readonly tiered: boolean;
  readonly keeping: BucketKeeping;

  constructor(
    name: string,
    args: ScalewayBackupBucketArgs,
    opts?: pulumi.ComponentResourceOptions,
  ) {
    super("kamal-postgres-backup:index:ScalewayBackupBucket", name, {}, opts);
    const resolved = reportProblems(this, () => resolveScalewayBucket(args, logOf(this)));

    const site = { parent: this, name, args, resolved };
    this.bucket = createBucket(site);
    this.lock = createLock(site, this.bucket);
    this.application = createApplication(site);
    this.policy = createPolicy(site, this.application);
    this.bucketPolicy = createBucketPolicy(site, this);
    this.key = createKey(site, this);

    this.bucketName = this.bucket.name;
    this.region = args.region;
    this.endpoint = resolved.endpoint;
    this.writer = {
      accessKeyId: this.key.accessKey,
      secretAccessKey: pulumi.secret(this.key.secretKey),
    };
    this.keyAccess = resolved.access;
    this.retentionDays = args.retention.days;
    this.tierDays = args.retention.tierDays;
    this.prefix = resolved.prefix;
    this.tiered = this.tierDays !== undefined;
    this.keeping = keepingOf(args, providerOf(resolved.endpoint).name);
    this.registerOutputs({
      bucketName: this.bucketName,
      region: this.region,
      endpoint: this.endpoint,
      retentionDays: this.retentionDays,
    });
  }
}

/** What is known before anything is made. */
interface ResolvedScalewayBucket {
  readonly endpoint: string;
  readonly prefix: string;
  readonly access: KeyAccess;
  readonly rules: readonly LifecycleRule[];
}

/** @throws Problem that names the argument */
function resolveScalewayBucket(
  args: ScalewayBackupBucketArgs,
  log: ResourceLog,
): ResolvedScalewayBucket {
  const { region, prefix = "", lock, keys } = args;
  const name = settingNamesOf(args);
  checkRegion(region, name("region"));
  const endpoint = `https://s3.${region}.scw.cloud`;
  // The address is made from the region.
  const names = addressNames(name, { endpoint: "region" });
  parseAddress({ endpoint, region, bucket: args.name, prefix: "settings" }, names);
  const rules = resolveRules(args, { name });
  checkAdministrators(args.administrators, name("administrators"));
  const notice = lock && lockNotice(lock);
  if (notice !== undefined) log.warn(notice);
  if (log.preview) log.info(`${name("projectId")}: ${PROJECT}`);
  return { endpoint, prefix, access: keys?.access ?? "restorable", rules };
}

const PROJECT =
  "Scaleway's permission sets hold for a whole project. The container's key may also add and delete in every other bucket of this one that has no policy, so give the backups a project of their own.";

/** What the children are made from. */
interface Site {
  readonly parent: pulumi.Resource;
  readonly name: string;
  readonly args: ScalewayBackupBucketArgs;
  readonly resolved: ResolvedScalewayBucket;
}

/** A bucket that survives must stay as safe as it was, so its settings survive with it. */
function optionsOf({ parent, args }: Site): pulumi.CustomResourceOptions {
  return { parent, retainOnDelete: args.forceDestroy !== true };
}

function createBucket(site: Site): object.Bucket {
  const { name, args, resolved } = site;
  return new (scaleway().object.Bucket)(
    name,
    transformed<object.BucketArgs>(args.transform?.bucket, {
      name: args.name,
      region: args.region,
      projectId: args.projectId,
      versioning: { enabled: true },
      lifecycleRules: resolved.rules.map(toScalewayRule),
      forceDestroy: args.forceDestroy ?? false,
      ...(args.lock && { objectLockEnabled: true }),
      ...(args.tags && { tags: args.tags }),
    }),
    optionsOf(site),
  );
}

/** Which bucket a setting is of. */
function placeOf(bucket: object.Bucket, { region, projectId }: ScalewayBackupBucketArgs) {
  return { bucket: bucket.name, region, projectId };
}

function createLock(site: Site, bucket: object.Bucket): object.BucketLockConfiguration | undefined {
  const { name, args } = site;
  const { lock, transform } = args;
  if (lock === undefined) return undefined;
  return new (scaleway().object.BucketLockConfiguration)(
    `${name}-lock`,
    transformed<object.BucketLockConfigurationArgs>(transform?.lock, {
      ...placeOf(bucket, args),
      rule: { defaultRetention: { mode: lock.mode.toUpperCase(), days: lock.days } },
    }),
    { ...optionsOf(site), deletedWith: bucket },
  );
}

function createApplication({ parent, name, args }: Site): iam.Application {
  return new (scaleway().iam.Application)(
    `${name}-writer`,
    transformed<iam.ApplicationArgs>(args.transform?.application, {
      description: `Adds backups to ${args.name}`,
    }),
    { parent },
  );
}

function createPolicy(
  { parent, name, args, resolved }: Site,
  application: iam.Application,
): iam.Policy {
  return new (scaleway().iam.Policy)(
    `${name}-writer-policy`,
    transformed<iam.PolicyArgs>(args.transform?.policy, {
      description: `What the policy of the bucket ${args.name} can grant`,
      applicationId: application.id,
      rules: [
        {
          projectIds: [args.projectId],
          permissionSetNames: scalewayPermissionSets(resolved.access),
        },
      ],
    }),
    { parent },
  );
}

/** Last of the settings: who is not among the administrators can make none after it. */
function createBucketPolicy(
  site: Site,
  made: Pick<ScalewayBackupBucket, "bucket" | "lock" | "application">,
): object.BucketPolicy {
  const { parent, name, args, resolved } = site;
  const { bucket, lock, application } = made;
  const { prefix, access } = resolved;
  return new (scaleway().object.BucketPolicy)(
    `${name}-policy`,
    transformed<object.BucketPolicyArgs>(args.transform?.bucketPolicy, {
      ...placeOf(bucket, args),
      policy: pulumi
        .all([
          administratorsOf(parent, args.administrators, settingNamesOf(args)("administrators")),
          application.id,
        ])
        .apply(([administrators, writer]) =>
          JSON.stringify(
            scalewayPolicy({ bucket: args.name, prefix, administrators, writer, access }),
          ),
        ),
    }),
    { ...optionsOf(site), deletedWith: bucket, dependsOn: [bucket, ...(lock ? [lock] : [])] },
  );
}

function createKey(
  { parent, name, args }: Site,
  made: Pick<ScalewayBackupBucket, "application" | "policy" | "bucketPolicy">,
): iam.ApiKey {
  return new (scaleway().iam.ApiKey)(
    `${name}-writer-key`,
    transformed<iam.ApiKeyArgs>(args.transform?.key, {
      applicationId: made.application.id,
      // S3 looks for a key's buckets in this project only.
      defaultProjectId: args.projectId,
      description: `Adds backups to ${args.name}`,
    }),
    {
      parent,
      // The key is of no use before both policies are there, and too strong before the bucket's is.
      dependsOn: [made.policy, made.bucketPolicy],
      // As in BackupKeys: the new key first, the old one deleted last; and always a trigger.
      replacementTrigger: String(args.keys?.rotateAfter ?? ""),
    },
  );
}
