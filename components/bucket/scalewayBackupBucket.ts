import * as pulumi from "@pulumi/pulumi";
import type { iam, object } from "@pulumiverse/scaleway";
import { parseAddress } from "../../storage/address/address.ts";
import type { KeyAccess } from "../../storage/bucket/keyPermissions.ts";
import { lockNotice } from "../../storage/bucket/objectLock.ts";
import { scalewayPermissionSets, scalewayPolicy } from "../../storage/bucket/scalewayPolicy.ts";
import type { TierDays } from "../../storage/planning/retention.ts";
import { explained } from "../pulumi/resourceError.ts";
import { scaleway } from "../pulumi/scalewayPackage.ts";
import { transformed } from "../pulumi/transform.ts";
import type { BucketWithKeys } from "./bucket.ts";
import { keepingOf, settleRules } from "./bucketArgs.ts";
import { type BucketKeeping, providerOf } from "./retentionCheck.ts";
import type { ScalewayBackupBucketArgs } from "./scalewayBackupBucketArgs.ts";
import { checkRegion, settleAdministrators, toScalewayRule } from "./scalewaySettings.ts";

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
    const { region, projectId, prefix = "", lock, transform, keys = {} } = args;
    const { access = "restorable", rotateAfter } = keys;
    const endpoint = `https://s3.${region}.scw.cloud`;
    const rules = explained(this, () => {
      checkRegion(region);
      parseAddress({ endpoint, region, bucket: args.name, prefix: "settings" });
      return settleRules(args, undefined);
    });
    const administrators = settleAdministrators(this, args.administrators);
    const notice = lock && lockNotice(lock);
    if (notice !== undefined) pulumi.log.warn(notice, this);
    if (pulumi.runtime.isDryRun()) pulumi.log.info(PROJECT, this);

    const kept = { parent: this, retainOnDelete: args.forceDestroy !== true };
    this.bucket = new scaleway.object.Bucket(
      name,
      transformed<object.BucketArgs>(transform?.bucket, {
        name: args.name,
        region,
        projectId,
        versioning: { enabled: true },
        lifecycleRules: rules.map(toScalewayRule),
        forceDestroy: args.forceDestroy ?? false,
        ...(lock && { objectLockEnabled: true }),
        ...(args.tags && { tags: args.tags }),
      }),
      kept,
    );
    const settingsOf = { bucket: this.bucket.name, region, projectId };
    const child = { ...kept, deletedWith: this.bucket };
    this.lock =
      lock &&
      new scaleway.object.BucketLockConfiguration(
        `${name}-lock`,
        transformed<object.BucketLockConfigurationArgs>(transform?.lock, {
          ...settingsOf,
          rule: { defaultRetention: { mode: lock.mode.toUpperCase(), days: lock.days } },
        }),
        child,
      );

    this.application = new scaleway.iam.Application(
      `${name}-writer`,
      transformed<iam.ApplicationArgs>(transform?.application, {
        description: `Adds backups to ${args.name}`,
      }),
      { parent: this },
    );
    this.policy = new scaleway.iam.Policy(
      `${name}-writer-policy`,
      transformed<iam.PolicyArgs>(transform?.policy, {
        description: `What the policy of the bucket ${args.name} can grant`,
        applicationId: this.application.id,
        rules: [{ projectIds: [projectId], permissionSetNames: scalewayPermissionSets(access) }],
      }),
      { parent: this },
    );
    this.bucketPolicy = new scaleway.object.BucketPolicy(
      `${name}-policy`,
      transformed<object.BucketPolicyArgs>(transform?.bucketPolicy, {
        ...settingsOf,
        policy: pulumi.all([administrators, this.application.id]).apply(([principals, writer]) =>
          JSON.stringify(
            scalewayPolicy({
              bucket: args.name,
              prefix,
              administrators: principals,
              writer,
              access,
            }),
          ),
        ),
      }),
      // Last of the settings: who is not among the administrators can make none after it.
      { ...child, dependsOn: [this.bucket, ...(this.lock ? [this.lock] : [])] },
    );
    this.key = new scaleway.iam.ApiKey(
      `${name}-writer-key`,
      transformed<iam.ApiKeyArgs>(transform?.key, {
        applicationId: this.application.id,
        // S3 looks for a key's buckets in this project only.
        defaultProjectId: projectId,
        description: `Adds backups to ${args.name}`,
      }),
      {
        parent: this,
        // The key is of no use before both policies are there, and too strong before the bucket's is.
        dependsOn: [this.policy, this.bucketPolicy],
        // As in BackupKeys: the new key first, the old one deleted last; and always a trigger.
        replacementTrigger: String(rotateAfter ?? ""),
      },
    );

    this.bucketName = this.bucket.name;
    this.region = region;
    this.endpoint = endpoint;
    this.writer = {
      accessKeyId: this.key.accessKey,
      secretAccessKey: pulumi.secret(this.key.secretKey),
    };
    this.keyAccess = access;
    this.retentionDays = args.retention.days;
    this.tierDays = args.retention.tierDays;
    this.prefix = prefix;
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

const PROJECT =
  "projectId: Scaleway's permission sets hold for a whole project. The container's key may also add and delete in every other bucket of this one that has no policy, so give the backups a project of their own.";
