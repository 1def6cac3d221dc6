import type { Schedule } from "../../common/schedule/schedule.ts";
import type { KamalAccessoryArgs } from "../accessory/kamalAccessory.ts";
import type { KamalArgs } from "../accessory/kamalProject.ts";
import type { SshArgs } from "../accessory/sshConnection.ts";
import type { BackupKeysArgs, KeysArgs } from "../bucket/backupKeys.ts";
import type { BackupBucket } from "../bucket/bucket.ts";
import type { AgentImageArgs } from "../image/agentImage.ts";
import type { AgentBuild } from "../image/hostAgentImage.ts";
import type { CopyArgs } from "./copy.ts";
import type { Encryption } from "./encryption.ts";
import type { NoticesArgs } from "./notices.ts";
import type { PostgresArgs } from "./resolveDatabase.ts";

export interface PostgresBackupArgs {
  /** The Kamal application beside whose database the backup runs. */
  readonly kamal: KamalArgs;
  /**
   * Exact name of the database, or of several on the same server; each gets its own objects. `"all"`: every database that
   * the server has when a backup begins, without templates and `postgres`; one that is called "all" is `["all"]`.
   * @default POSTGRES_DB of the database accessory
   * @example "shop_production"
   * @example ["shop_production", "shop_production_cache", "shop_production_queue", "shop_production_cable"]
   */
  readonly database?: string | readonly string[];
  /**
   * With `database: "all"`: exact names of those left out.
   * @default none
   * @example ["shop_production_cache"]
   */
  readonly excludeDatabases?: readonly string[];
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
   * When to back up, in UTC unless a time zone stands in front.
   * @example Schedule.daily("03:15")
   * @example "@every 6h"
   * @example "TZ=Europe/Paris 15 3 * * *"
   */
  readonly schedule: Schedule | string;
  /**
   * Size of one stored backup, bytes: about a fifth of the database. For the estimate of space, cost and memory at preview.
   * @default none: the preview estimates the number of backups alone
   */
  readonly backupBytes?: number;
  /**
   * What the bucket's provider charges, US dollars for a GB (10^9 bytes) in a month. For the estimate of cost at preview.
   * @default the package's table, which has Cloudflare R2 alone: other providers publish no dated price as text
   * @example 0.023
   */
  readonly usdPerGbMonth?: number;
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
   * @default built for the server's major version
   */
  readonly image?: string;
  /**
   * Where an image that is not published is built. "registry": by the Docker where Pulumi runs, and pushed to the
   * application's own registry. "host": by the Docker of each host, over SSH, and pushed nowhere; for those who have no
   * registry, and at the price that `kamal accessory reboot` fails, see `HostAgentImage`.
   * @default "registry"
   */
  readonly build?: AgentBuild;
  /** Image that the agent's image is built on. @default see `AgentImageArgs.baseImage` */
  readonly baseImage?: string;
  /**
   * Memory limit of the container, as `docker run` takes it. The default suffices for a database of some 600 GB, of 60 GB at
   * Scaleway: as a service takes a number of parts, those of a larger one are larger, and two of each bucket's are held at a
   * time. With `backupBytes` the preview says what it takes. Nor does it suffice for one huge row: pg_dump needs about twice
   * the row's text form on top, where a `bytea` takes two characters a byte.
   * @default "256m"
   * @example "640m" // rows of up to 200 MiB of text
   */
  readonly memory?: string;
  /**
   * Where `restore --scratch /scratch` unpacks the archive, to restore it with every core: a named volume of Docker's, or
   * an absolute folder of the host. It is mounted at /scratch, needs the room of the whole database in clear while a restore
   * runs, and stays on `pulumi destroy`. A volume belongs to the container's user by itself; a folder must be given to it:
   * `chown 10001:10001 FOLDER`.
   * @default none: a restore is a stream, which needs no room and goes through one core
   * @example "shop-scratch"
   * @example "/srv/scratch"
   */
  readonly scratch?: string;
  /**
   * Longest random delay of a scheduled run, seconds, so that many hosts do not start at once; at most 86,400.
   * @default 0
   * @example 600
   */
  readonly jitterSeconds?: number;
  /**
   * How backups are encrypted.
   * @default not at all: whoever can read the bucket can read them, which the preview says; `Encryption.none()` means it
   * @example Encryption.recipient("age1...")
   * @example Encryption.passphrase(config.requireSecret("passphrase"))
   */
  readonly encryption?: Encryption;
  /** Level of zstd: 1 is the fastest, 3 makes the smallest object. @default 1 */
  readonly compressionLevel?: 1 | 2 | 3;
  /** Reads each backup back to its end after it was stored, which costs its download. @default false */
  readonly verify?: boolean;
  /**
   * Has the container delete backups that are older than so many days, except the newest `atLeast`, 7 unless given, of each
   * database that it backs up. Only for keys that were given to the program and may delete, where the service has no rules
   * for it: whoever steals the host can then delete backups too, which `pulumi up` says.
   * In the bucket of `copy` it deletes by the same rules, among the copies that lie there, unless those are in tiers.
   * @default the bucket's own rules expire backups
   * @example { days: 30 }
   * @example { days: 30, atLeast: 14 }
   */
  readonly keep?: { readonly days: number; readonly atLeast?: number };
  /**
   * A backup that is smaller than the one before by more than this share is put aside as suspect and fails its run.
   * Percent, 1 to 100.
   * @default 50
   */
  readonly maxShrinkPercent?: number;
  /** Stores the server's roles and grants beside each backup, without passwords. @default true */
  readonly globals?: boolean;
  /**
   * More options for pg_dump, which choose what is dumped; one word each. Those that would change the form of the dump or
   * connect elsewhere are refused.
   * @default none
   * @example ["--exclude-table-data=sessions"]
   */
  readonly dumpOptions?: readonly string[];
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
