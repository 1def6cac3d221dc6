import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import {
  type AddressInput,
  type AddressNames,
  parseAddress,
} from "../../storage/address/address.ts";
import type { KeyAccess } from "../../storage/bucket/probeKey.ts";
import type { Retention, TierDays } from "../../storage/planning/retention.ts";
import type { ResourceLog } from "../pulumi/resourceMessages.ts";
import { addressNames, below, type SettingName } from "../pulumi/settingNames.ts";
import { AwsBackupBucket } from "./awsBackupBucket.ts";
import type { KeysArgs } from "./backupKeys.ts";
import type { BackupBucket, BucketWithKeys, ExistingBucket, Location } from "./bucket.ts";
import { keepingOf, resolveRules } from "./bucketArgs.ts";
import { type BucketKeeping, providerOf } from "./retentionCheck.ts";

/** A bucket as a backup or a copy uses it: all that is known before a resource is made. */
export interface ResolvedBucket {
  readonly place: Place;
  /** The address as the agent will use it; undefined while a part of it waits for a resource. */
  readonly location: Location | undefined;
  readonly keys: KeysToMake | GivenKeys;
  /** What the container's key may do. */
  readonly access: KeyAccess;
  readonly retentionDays?: number;
  /** Days until a backup of each tier expires; absent without tiers, or where nothing expires. */
  readonly tierDays?: TierDays;
  /** The backups go into a folder for each tier. */
  readonly tiered: boolean;
  /** When a checksum goes with each part, where the provider's habit does not do. */
  readonly checksums?: "when-supported";
  /** How messages name the parts of the address. */
  readonly names: AddressNames;
}

/** Where the bucket is, as far as it was given. */
export interface Place {
  readonly endpoint: pulumi.Input<string | undefined>;
  readonly region: pulumi.Input<string>;
  readonly bucket: pulumi.Input<string>;
  readonly prefix: string;
  readonly allowInsecure: boolean;
}

/** Keys of the container's own, to be made beside the backup. */
export interface KeysToMake {
  readonly from: "backup";
  readonly bucket: AwsBackupBucket;
  readonly args: KeysArgs;
}

/** Keys that were made with the bucket, or those of its owner. */
export interface GivenKeys {
  readonly from: "bucket" | "owner";
  readonly accessKeyId: pulumi.Output<string>;
  /** Secret. */
  readonly secretAccessKey: pulumi.Output<string>;
}

export interface BucketOptions {
  readonly bucket: BackupBucket;
  /** Folder in it. */
  readonly prefix: string;
  readonly keys: KeysArgs | undefined;
  /** How messages name the arguments `bucket`, `keys` and `prefix` and what lies below them. */
  readonly name: SettingName;
}

/**
 * Resolves a bucket: on AWS with a key of its own for the container, elsewhere with the keys given.
 * @throws Problem that names the argument
 */
export function resolveBucket(options: BucketOptions, log: ResourceLog): ResolvedBucket {
  const { bucket } = options;
  if ("writer" in bucket) return resolveWithKeys(bucket, options, log);
  if (bucket instanceof AwsBackupBucket) return resolveOnAws(bucket, options, log);
  return resolveExisting(bucket, options, log);
}

function resolveOnAws(
  bucket: AwsBackupBucket,
  { prefix, keys = {}, name }: BucketOptions,
  log: ResourceLog,
): ResolvedBucket {
  checkFolder(bucket, prefix, name);
  const { endpoint, region, bucketName, allowInsecure, retentionDays, tierDays, tiered } = bucket;
  const place = { endpoint, region, bucket: bucketName, prefix, allowInsecure };
  const names = namesBelow(name, { bucket: "bucketName" });
  return {
    place,
    location: locatePlain(place, names, log),
    keys: { from: "backup", bucket, args: keys },
    access: keys.access ?? "restorable",
    retentionDays,
    ...(tierDays && { tierDays }),
    tiered,
    names,
  };
}

/** The keys are the bucket's own, or the user's as those of a bucket that exists; they are tried, never made here. */
function resolveWithKeys(
  bucket: BucketWithKeys,
  { prefix, keys = {}, name }: BucketOptions,
  log: ResourceLog,
): ResolvedBucket {
  const { keyAccess, writer, retentionDays, tierDays, tiered } = bucket;
  checkFolder(bucket, prefix, name);
  if (keyAccess === undefined) refuseRotation(keys, name);
  else refuseKeys(keys, name);
  const { endpoint, region, bucketName, allowInsecure } = bucket;
  const place = { endpoint, region, bucket: bucketName, prefix, allowInsecure };
  const names = namesBelow(name, {
    bucket: "bucketName",
    accessKeyId: "writer.accessKeyId",
    secretAccessKey: "writer.secretAccessKey",
  });
  return {
    place,
    location: locatePlain(place, names, log),
    keys: { from: keyAccess === undefined ? "owner" : "bucket", ...writer },
    access: keyAccess ?? keys.access ?? "restorable",
    ...(retentionDays !== undefined && { retentionDays }),
    ...(tierDays && { tierDays }),
    tiered,
    ...(bucket.lock && { checksums: "when-supported" }),
    names,
  };
}

function resolveExisting(
  bucket: ExistingBucket,
  { prefix, keys = {}, name }: BucketOptions,
  log: ResourceLog,
): ResolvedBucket {
  refuseRotation(keys, name);
  const { endpoint, region, allowInsecure = false, retention } = bucket;
  if (retention) describeRules(retention, prefix, name, log);
  const place = { endpoint, region, bucket: bucket.name, prefix, allowInsecure };
  const names = namesBelow(name);
  return {
    place,
    location: locatePlain(place, names, log),
    keys: {
      from: "owner",
      accessKeyId: pulumi.output(bucket.accessKeyId),
      secretAccessKey: pulumi.secret(bucket.secretAccessKey),
    },
    access: keys.access ?? "restorable",
    ...(retention && { retentionDays: retention.days }),
    ...(retention?.tierDays && { tierDays: retention.tierDays }),
    tiered: retention?.tierDays !== undefined,
    names,
  };
}

/** The name of the argument that says how long a bucket keeps what it is given. */
export function retentionName(bucket: BackupBucket, name: SettingName): string {
  // A bucket that was made here has it among its own arguments.
  return name("keeping" in bucket ? "retention" : "bucket.retention");
}

/** How long a bucket keeps what it is given; undefined where that is not known, or nothing expires. */
export function keepingIn(bucket: BackupBucket): BucketKeeping | undefined {
  if ("keeping" in bucket) return bucket.keeping;
  const { retention, endpoint } = bucket;
  return retention && keepingOf({ retention }, providerOf(endpoint).name, false);
}

/** Whether the backups go into a folder for each tier. */
export function isTiered(bucket: BackupBucket): boolean {
  return "tiered" in bucket ? bucket.tiered : bucket.retention?.tierDays !== undefined;
}

/** The keys were made by this program, so that the service may not know them everywhere yet. */
export function hasNewKeys({ keys }: ResolvedBucket): boolean {
  return keys.from !== "owner";
}

/** Says at preview what the owner's own rules must be, which nobody here has set. */
function describeRules(
  retention: Retention,
  prefix: string,
  name: SettingName,
  log: ResourceLog,
): void {
  if (!log.preview) return;
  const rules = resolveRules({ retention, prefix }, { name }).flatMap((rule) =>
    rule.expirationDays === undefined
      ? []
      : [
          `${rule.prefix} after ${rule.expirationDays === 1 ? "1 day" : `${rule.expirationDays} days`}`,
        ],
  );
  log.info(
    `${name("bucket.retention")}: the bucket's own rules must expire ${rules.join(", ")}; nothing here sets or checks them.`,
  );
}

/** A backup outside the folder of the rules would never expire. */
function checkFolder(
  bucket: { readonly prefix: string; readonly tiered: boolean },
  prefix: string,
  name: SettingName,
): void {
  const folder = bucket.prefix;
  if (folder === "" || prefix === folder || (!bucket.tiered && prefix.startsWith(`${folder}/`)))
    return;
  throw new Problem(
    `${name("prefix")}: the backups would go to "${prefix}", but the bucket's rules are for "${folder}". Give both the same prefix.`,
  );
}

/** A rotation was asked for that only the owner of the keys can do. */
function refuseRotation({ rotateAfter }: KeysArgs, name: SettingName): void {
  if (rotateAfter === undefined) return;
  const setting = name("keys.rotateAfter");
  throw new Problem(
    `${setting}: the keys of this bucket were given to the program, so only their owner can rotate them. Make a new key at the provider, give that one in its place, run pulumi up, then delete the old one; take ${setting} out.`,
  );
}

/** The keys of a bucket that makes its own were asked for beside it. */
function refuseKeys({ access, rotateAfter }: KeysArgs, name: SettingName): void {
  if (access === undefined && rotateAfter === undefined) return;
  throw new Problem(
    `${name("keys")}: the keys of this bucket are made together with it. Give keys to the bucket instead, and take them out here.`,
  );
}

/** The folder is an argument of the backup's, all else of the bucket's. */
function namesBelow(name: SettingName, others: Partial<AddressNames> = {}): AddressNames {
  return { ...addressNames(below("bucket", name), others), prefix: name("prefix") };
}

/** Plain values are judged at once: an error in a value that others wait for is reported with all their names. */
function locatePlain(place: Place, names: AddressNames, log: ResourceLog): Location | undefined {
  const { endpoint, region, bucket, prefix, allowInsecure } = place;
  if (endpoint !== undefined && typeof endpoint !== "string") return undefined;
  if (typeof region !== "string" || typeof bucket !== "string") return undefined;
  return locate({ endpoint, region, bucket, prefix, allowInsecure }, names, log);
}

/**
 * The address as the agent will use it; what was put right on the way is logged.
 * @throws Problem that names the argument
 */
export function locate(input: AddressInput, names: AddressNames, log: ResourceLog): Location {
  const { notices, endpoint, region, bucket, prefix } = parseAddress(input, names);
  for (const notice of notices) log.warn(notice);
  return { ...(endpoint !== undefined && { endpoint }), region, bucket, prefix };
}
