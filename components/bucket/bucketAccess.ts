import * as pulumi from "@pulumi/pulumi";
import { applyReportingProblems, logOf } from "../pulumi/resourceMessages.ts";
import { BackupKeys, type BackupKeysArgs } from "./backupKeys.ts";
import type { Location } from "./bucket.ts";
import { createKeyProbe } from "./keyProbe.ts";
import {
  type GivenKeys,
  hasNewKeys,
  type KeysToMake,
  locate,
  type ResolvedBucket,
} from "./resolveBucket.ts";

/** What the container needs to reach a bucket. */
export interface BucketAccess {
  readonly location: pulumi.Output<Location>;
  /** Of a key that was made here once it works. */
  readonly accessKeyId: pulumi.Output<string>;
  /** Secret. */
  readonly secretAccessKey: pulumi.Output<string>;
  /** Keys that were made here; undefined for a bucket with keys of its own or of its owner. */
  readonly keys: BackupKeys | undefined;
}

export interface BucketAccessOptions {
  readonly parent: pulumi.Resource;
  /** What the names of the children begin with. */
  readonly name: string;
  readonly bucket: ResolvedBucket;
  readonly transform: BackupKeysArgs["transform"] | undefined;
}

/** Makes the container's keys where they are made here, and has the key tried. */
export function createBucketAccess(options: BucketAccessOptions): BucketAccess {
  const { parent, name, bucket } = options;
  const given = bucket.keys;
  const keys = given.from === "backup" ? createKeys(options, given) : undefined;
  const { accessKeyId, secretAccessKey } = keys ?? (given as GivenKeys);
  const location = createLocation(parent, bucket);
  const probe = createKeyProbe(
    name,
    {
      location,
      allowInsecure: bucket.place.allowInsecure,
      accessKeyId,
      secretAccessKey,
      access: bucket.access,
      isNew: hasNewKeys(bucket),
    },
    { parent, ...(keys && { dependsOn: [keys.writer.policy] }) },
  );
  return {
    location,
    // Nothing waits for the probe of a key that was given: the container tries it itself when it boots.
    accessKeyId: keys ? pulumi.all([accessKeyId, probe.id]).apply(([id]) => id) : accessKeyId,
    secretAccessKey,
    keys,
  };
}

function createKeys(
  { parent, name, bucket, transform }: BucketAccessOptions,
  { bucket: { bucketName, kmsKey }, args }: KeysToMake,
): BackupKeys {
  return new BackupKeys(
    `${name}-keys`,
    {
      bucket: bucketName,
      prefix: bucket.place.prefix,
      ...(kmsKey && { kmsKey }),
      ...args,
      ...(transform && { transform }),
    },
    { parent },
  );
}

function createLocation(
  parent: pulumi.Resource,
  { place, location, names }: ResolvedBucket,
): pulumi.Output<Location> {
  if (location) return pulumi.output(location);
  const { prefix, allowInsecure } = place;
  return applyReportingProblems(
    parent,
    pulumi.all([place.endpoint, place.region, place.bucket]),
    ([endpoint, region, bucket]) =>
      locate({ endpoint, region, bucket, prefix, allowInsecure }, names, logOf(parent)),
  );
}
