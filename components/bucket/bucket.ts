import type * as pulumi from "@pulumi/pulumi";
import type { KeyAccess } from "../../storage/bucket/probeKey.ts";
import type { Retention, TierDays } from "../../storage/planning/retention.ts";
import type { AwsBackupBucket } from "./awsBackupBucket.ts";
import type { BucketKeeping } from "./retentionCheck.ts";
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
  /**
   * PEM file on the database's host with the certificate of the authority that signed the service's own, where it is none
   * of the public ones. The container gets it for reading and trusts it besides those; everybody must be able to read it
   * (mode 644), and one that was replaced counts after `kamal accessory reboot`.
   *
   * What runs here trusts it by the variable NODE_EXTRA_CA_CERTS alone, the path of such a file on this machine, which Node
   * reads when it starts: `pulumi` to try the keys, which it else leaves to the container, and `drift`.
   * @default the public authorities
   * @example "/etc/ssl/our-authority.pem"
   */
  readonly caFile?: string;
}

/**
 * A bucket that was set up for backups, and a pair of keys with it: `S3CompatibleBucket`, `ScalewayBackupBucket`, or a
 * component of your own for another service.
 */
export interface BucketWithKeys {
  /** Name of the bucket. */
  readonly bucketName: pulumi.Output<string>;
  readonly region: string;
  /** Undefined: AWS. */
  readonly endpoint: string | undefined;
  readonly allowInsecure: boolean;
  /** As `ExistingBucket.caFile`. @default the public authorities */
  readonly caFile?: string | undefined;
  /** Keys for the container, the secret one marked as such. */
  readonly writer: {
    readonly accessKeyId: pulumi.Output<string>;
    readonly secretAccessKey: pulumi.Output<string>;
  };
  /** What the keys may do, where they are made with the bucket. @default they were given, and the backup says it */
  readonly keyAccess?: KeyAccess;
  /** Days until a backup expires, with tiers the longest; undefined where nothing expires. */
  readonly retentionDays: number | undefined;
  /** Days until a backup of each tier expires; undefined without tiers, or where nothing expires. */
  readonly tierDays: TierDays | undefined;
  /** Folder that expiry is for; "": the whole bucket. */
  readonly prefix: string;
  /** Whether the backups go into a folder for each tier. */
  readonly tiered: boolean;
  /** How long it keeps what it is given; undefined where nothing expires. */
  readonly keeping: BucketKeeping | undefined;
  /** The Object Lock, which asks for a checksum with each upload; undefined without one. */
  readonly lock: pulumi.Resource | undefined;
}

/** Where the container writes, in the words of its environment. */
export interface Location {
  readonly endpoint?: string;
  readonly region: string;
  readonly bucket: string;
  readonly prefix: string;
}

/** Where backups go. */
export type BackupBucket = AwsBackupBucket | S3CompatibleBucket | BucketWithKeys | ExistingBucket;
