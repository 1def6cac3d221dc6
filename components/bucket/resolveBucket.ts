import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import { parseAddress } from "../../storage/address/address.ts";
import type { Retention, TierDays } from "../../storage/planning/retention.ts";
import { explained, explainedApply } from "../pulumi/resourceError.ts";
import { AwsBackupBucket } from "./awsBackupBucket.ts";
import { BackupKeys, type BackupKeysArgs, type KeysArgs } from "./backupKeys.ts";
import type { BackupBucket, BucketWithKeys } from "./bucket.ts";
import { keepingOf, settleRules } from "./bucketArgs.ts";
import { proveGivenKey, proveMadeKey, refuseKeys, refuseRotation } from "./proveKey.ts";
import { type BucketKeeping, providerOf } from "./retentionCheck.ts";

/** Where the container writes, in the words of its environment. */
export interface Location {
  readonly endpoint?: string;
  readonly region: string;
  readonly bucket: string;
  readonly prefix: string;
}

export interface SettledBucket {
  readonly location: pulumi.Output<Location>;
  readonly allowInsecure: boolean;
  readonly accessKeyId: pulumi.Output<string>;
  /** Secret. */
  readonly secretAccessKey: pulumi.Output<string>;
  /** Keys that were made; absent for a bucket of the user's. */
  readonly keys?: BackupKeys;
  readonly retentionDays?: number;
  /** Days until a backup of each tier expires; absent without tiers, or where nothing expires. */
  readonly tierDays?: TierDays;
  /** The backups go into a folder for each tier. */
  readonly tiered?: true;
  /** The keys were made with the bucket, so that the service may not know them everywhere yet. */
  readonly madeKeys?: true;
  /** When a checksum goes with each part, where the provider's habit does not do. */
  readonly checksums?: "when-supported";
}

/** Takes the bucket: on AWS with a key of its own for the container, elsewhere with the keys given. */
export function settleBucket(
  parent: pulumi.Resource,
  name: string,
  bucket: BackupBucket,
  prefix: string,
  keysArgs: KeysArgs = {},
  transform?: BackupKeysArgs["transform"],
): SettledBucket {
  if ("writer" in bucket) return takeWithKeys(parent, name, bucket, prefix, keysArgs);
  if (!(bucket instanceof AwsBackupBucket)) {
    explained(parent, () => refuseRotation(keysArgs));
    const { allowInsecure = false, retention } = bucket;
    if (retention) tellRules(parent, retention, prefix);
    const settled: SettledBucket = {
      location: locate(parent, bucket.endpoint, bucket.region, bucket.name, prefix, allowInsecure),
      allowInsecure,
      accessKeyId: pulumi.output(bucket.accessKeyId),
      secretAccessKey: pulumi.secret(bucket.secretAccessKey),
      ...(retention && { retentionDays: retention.days }),
      ...(retention?.tierDays && { tierDays: retention.tierDays, tiered: true }),
    };
    proveGivenKey(parent, name, settled, keysArgs);
    return settled;
  }
  explained(parent, () => checkFolder(bucket, prefix));
  const { kmsKey } = bucket;
  const keys = new BackupKeys(
    `${name}-keys`,
    {
      bucket: bucket.bucketName,
      prefix,
      ...(kmsKey && { kmsKey }),
      ...keysArgs,
      ...(transform && { transform }),
    },
    { parent },
  );
  const location = locate(
    parent,
    bucket.endpoint,
    bucket.region,
    bucket.bucketName,
    prefix,
    bucket.allowInsecure,
  );
  return {
    location,
    allowInsecure: bucket.allowInsecure,
    accessKeyId: proveMadeKey(parent, name, location, bucket.allowInsecure, keys, keysArgs),
    secretAccessKey: keys.secretAccessKey,
    keys,
    retentionDays: bucket.retentionDays,
    ...(bucket.tierDays && { tierDays: bucket.tierDays }),
    ...(bucket.tiered && { tiered: true }),
  };
}

/** The keys are the bucket's own, or the user's as those of a bucket that exists; they are tried, never made here. */
function takeWithKeys(
  parent: pulumi.Resource,
  name: string,
  bucket: BucketWithKeys,
  prefix: string,
  keysArgs: KeysArgs,
): SettledBucket {
  const { keyAccess } = bucket;
  explained(parent, () => {
    checkFolder(bucket, prefix);
    if (keyAccess === undefined) refuseRotation(keysArgs);
    else refuseKeys(keysArgs);
  });
  const { endpoint, region, bucketName, allowInsecure, writer, retentionDays, tierDays } = bucket;
  const settled: SettledBucket = {
    location: locate(parent, endpoint, region, bucketName, prefix, allowInsecure),
    allowInsecure,
    ...writer,
    ...(retentionDays !== undefined && { retentionDays }),
    ...(tierDays && { tierDays }),
    ...(bucket.tiered && { tiered: true }),
    ...(keyAccess !== undefined && { madeKeys: true }),
    ...(bucket.lock && { checksums: "when-supported" }),
  };
  proveGivenKey(parent, name, settled, keyAccess === undefined ? keysArgs : { access: keyAccess });
  return settled;
}

/** How long a bucket keeps what it is given; undefined where that is not known, or nothing expires. */
export function keepingIn(bucket: BackupBucket): BucketKeeping | undefined {
  if ("keeping" in bucket) return bucket.keeping;
  const { retention, endpoint } = bucket;
  return retention && keepingOf({ retention }, providerOf(endpoint).name, false);
}

/** Says at preview what the owner's own rules must be, which nobody here has set. */
function tellRules(parent: pulumi.Resource, retention: Retention, prefix: string): void {
  if (!pulumi.runtime.isDryRun()) return;
  const rules = settleRules({ retention, prefix }, undefined).flatMap((rule) =>
    rule.expirationDays === undefined
      ? []
      : [
          `${rule.prefix} after ${rule.expirationDays === 1 ? "1 day" : `${rule.expirationDays} days`}`,
        ],
  );
  pulumi.log.info(
    `bucket.retention: the bucket's own rules must expire ${rules.join(", ")}; nothing here sets or checks them.`,
    parent,
  );
}

/** A backup outside the folder of the rules would never expire. */
function checkFolder(bucket: { prefix: string; tiered: boolean }, prefix: string): void {
  const folder = bucket.prefix;
  if (folder === "" || prefix === folder || (!bucket.tiered && prefix.startsWith(`${folder}/`)))
    return;
  throw new Problem(
    `prefix: the backups would go to "${prefix}", but the bucket's rules are for "${folder}". Give both the same prefix.`,
  );
}

/** The address as the agent will use it; what was put right on the way is said at preview. */
function locate(
  parent: pulumi.Resource,
  endpoint: pulumi.Input<string | undefined>,
  region: pulumi.Input<string>,
  bucket: pulumi.Input<string>,
  prefix: string,
  allowInsecure: boolean,
): pulumi.Output<Location> {
  const settle = (e: string | undefined, r: string, b: string): Location => {
    const address = parseAddress({ endpoint: e, region: r, bucket: b, prefix, allowInsecure });
    for (const notice of address.notices) pulumi.log.warn(notice, parent);
    return {
      ...(address.endpoint !== undefined && { endpoint: address.endpoint }),
      region: address.region,
      bucket: address.bucket,
      prefix: address.prefix,
    };
  };
  // Plain values are judged at once: an error in a value that others wait for is reported with all their names.
  const plain =
    (endpoint === undefined || typeof endpoint === "string") &&
    typeof region === "string" &&
    typeof bucket === "string";
  return plain
    ? pulumi.output(explained(parent, () => settle(endpoint, region, bucket)))
    : explainedApply(parent, pulumi.all([endpoint, region, bucket]), ([e, r, b]) =>
        settle(e, r, b),
      );
}
