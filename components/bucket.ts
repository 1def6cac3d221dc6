import type * as pulumi from "@pulumi/pulumi";
import type { Retention } from "../kamal/retention.ts";
import type { AwsBackupBucket } from "./awsBackupBucket.ts";
import type { S3CompatibleBucket } from "./s3CompatibleBucket.ts";

/**
 * A bucket that exists already, at any S3-compatible service, with keys that its owner made. Nothing in it is changed; an
 * `S3CompatibleBucket` with `adopt` puts the rules of its retention among those that are there.
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
  /**
   * How long the bucket's own rules keep a backup, as their owner has set them: nothing here sets or checks them, and the
   * preview says which they must be. The proof of the schedule, `list` and, with tiers, the folders go by it.
   * @default not known
   * @example Retention.tiers({ daily: 7, weekly: 35, monthly: 365 })
   */
  readonly retention?: Retention;
  /** Allows plain http to a host that is not loopback. @default false */
  readonly allowInsecure?: boolean;
}

/** Where backups go. */
export type BackupBucket = AwsBackupBucket | S3CompatibleBucket | ExistingBucket;
