import type { Schedule } from "../kamal/schedule.ts";
import type { AgentImageArgs } from "./agentImage.ts";
import type { BackupKeysArgs, KeysArgs } from "./backupKeys.ts";
import type { BackupBucket } from "./bucket.ts";
import type { CopyArgs } from "./copy.ts";
import type { Encryption } from "./encryption.ts";
import type { KamalAccessoryArgs } from "./kamalAccessory.ts";
import type { KamalArgs } from "./kamalProject.ts";
import type { NoticesArgs } from "./notices.ts";
import type { PostgresArgs } from "./settleDatabase.ts";
import type { SshArgs } from "./sshConnection.ts";

export interface PostgresBackupArgs {
  /** The Kamal application beside whose database the backup runs. */
  readonly kamal: KamalArgs;
  /**
   * Exact name of the database, or of several on the same server; each gets its own objects.
   * @default POSTGRES_DB of the database accessory
   * @example "shop_production"
   * @example ["shop_production", "shop_production_cache", "shop_production_queue", "shop_production_cable"]
   */
  readonly database?: string | readonly string[];
  /** Where backups go: an `AwsBackupBucket`, an `S3CompatibleBucket`, or a bucket that exists and is left alone. */
  readonly bucket: BackupBucket;
  /**
   * A second bucket that gets the same backups, with keys and a retention of its own.
   * @default none
   * @example { bucket: { name: "shop-copies", endpoint: "https://s3.fr-par.scw.cloud", region: "fr-par", ...keys }, every: "@daily" }
   */
  readonly copy?: CopyArgs;
  /**
   * What the container's key may do, and when it is replaced.
   * @default it may add, list and read backups under the prefix
   * @example { access: "append-only", rotateAfter: "2026-12" }
   */
  readonly keys?: KeysArgs;
  /**
   * When to back up, in UTC.
   * @example Schedule.daily("03:15")
   * @example "@every 6h"
   */
  readonly schedule: Schedule | string;
  /**
   * Size of one stored backup, bytes: about a fifth of the database. For the estimate of space and cost at preview.
   * @default none: the preview estimates the number of backups alone
   */
  readonly backupBytes?: number;
  /**
   * Folder in the bucket.
   * @default the Kamal service, and below it the destination: "shop/production"
   */
  readonly prefix?: string;
  /** What deploy.yml does not tell about the server. */
  readonly postgres?: PostgresArgs;
  /** How the hosts are reached, where deploy.yml and this machine do not tell. */
  readonly ssh?: SshArgs;
  /**
   * A published image of the agent, by tag or digest. A tag is pinned to the digest that it has at each `pulumi up`.
   * @example "ghcr.io/you/db-backup:17"
   * @default built for the server's major version and pushed to the application's own registry
   */
  readonly image?: string;
  /** Image that the agent's image is built on. @default see `AgentImageArgs.baseImage` */
  readonly baseImage?: string;
  /** Memory limit of the container. @default "256m" */
  readonly memory?: string;
  /**
   * Longest random delay of a scheduled run, seconds, so that many hosts do not start at once; at most 86,400.
   * @default 0
   * @example 600
   */
  readonly jitterSeconds?: number;
  /**
   * How backups are encrypted.
   * @default not at all: whoever can read the bucket can read them
   * @example Encryption.recipient("age1...")
   * @example Encryption.passphrase(config.requireSecret("passphrase"))
   */
  readonly encryption?: Encryption;
  /** Level of zstd: 1 is the fastest, 3 makes the smallest object. @default 1 */
  readonly compressionLevel?: 1 | 2 | 3;
  /** Reads each backup back to its end after it was stored, which costs its download. @default false */
  readonly verify?: boolean;
  /**
   * Who is told how each run ended.
   * @default nobody
   * @example { pingUrl: config.requireSecret("pingUrl") }
   */
  readonly notices?: NoticesArgs;
  /** Changes to the children's arguments. */
  readonly transform?: {
    readonly keys?: NonNullable<BackupKeysArgs["transform"]>;
    readonly image?: NonNullable<AgentImageArgs["transform"]>;
    readonly accessory?: NonNullable<KamalAccessoryArgs["transform"]>;
  };
}
