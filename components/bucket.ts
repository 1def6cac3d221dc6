import type * as pulumi from "@pulumi/pulumi";
import type { AwsBackupBucket } from "./awsBackupBucket.ts";
import type { S3CompatibleBucket } from "./s3CompatibleBucket.ts";

/**
 * A bucket that exists already, at any S3-compatible service, with keys that its owner made. Nothing in it is changed.
 *
 * @example
 * {
 *   name: "shop-backups",
 *   endpoint: "https://s3.fr-par.scw.cloud",
 *   region: "fr-par",
 *   accessKeyId: config.require("accessKeyId"),
 *   secretAccessKey: config.requireSecret("secretAccessKey"),
 * }
 */
export interface ExistingBucket {
  /** Name of the bucket alone; the address that a provider's console shows works too and is taken apart. */
  readonly name: pulumi.Input<string>;
  /** Address of the service. @default AWS */
  readonly endpoint?: pulumi.Input<string>;
  readonly region: pulumi.Input<string>;
  readonly accessKeyId: pulumi.Input<string>;
  readonly secretAccessKey: pulumi.Input<string>;
  /** Allows plain http to a host that is not loopback. @default false */
  readonly allowInsecure?: boolean;
}

/** Where backups go. */
export type BackupBucket = AwsBackupBucket | S3CompatibleBucket | ExistingBucket;
