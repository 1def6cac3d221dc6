import * as pulumi from "@pulumi/pulumi";
import type { TierDays } from "../kamal/retention.ts";
import { parseAddress } from "../storage/address.ts";
import { Problem } from "../storage/problem.ts";
import { AwsBackupBucket } from "./awsBackupBucket.ts";
import { BackupKeys, type BackupKeysArgs, type KeysArgs } from "./backupKeys.ts";
import type { BackupBucket } from "./bucket.ts";
import { explained, explainedApply } from "./explained.ts";
import { proveGivenKey, proveMadeKey, refuseRotation } from "./proveKey.ts";

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
  /** Days until a backup of each tier expires; absent without tiers. */
  readonly tierDays?: TierDays;
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
  if (!(bucket instanceof AwsBackupBucket)) {
    explained(parent, () => refuseRotation(keysArgs));
    const { allowInsecure = false } = bucket;
    const settled = {
      location: locate(parent, bucket.endpoint, bucket.region, bucket.name, prefix, allowInsecure),
      allowInsecure,
      accessKeyId: pulumi.output(bucket.accessKeyId),
      secretAccessKey: pulumi.secret(bucket.secretAccessKey),
    };
    proveGivenKey(parent, name, settled, keysArgs);
    return settled;
  }
  explained(parent, () => requireTierRules(bucket, prefix));
  const keys = new BackupKeys(
    `${name}-keys`,
    { bucket: bucket.bucketName, prefix, ...keysArgs, ...(transform && { transform }) },
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
  };
}

/** Without the rules for its folder a backup's tier would be kept as long as the longest. */
function requireTierRules({ tierDays, prefixes }: AwsBackupBucket, prefix: string): void {
  if (tierDays === undefined || prefixes.includes(prefix)) return;
  throw new Problem(
    `bucket: its retention has tiers, with rules for ${prefixes.map((p) => `"${p}"`).join(", ")}, but this backup lies in "${prefix}". Add that folder to the bucket's prefixes.`,
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
