import type { BeforeDeployArgs } from "../accessory/deployGate.ts";
import type { Driver } from "../accessory/driver.ts";
import type { KamalAccessoryArgs } from "../accessory/kamalAccessory.ts";
import type { KamalArgs, RegistryArgs } from "../accessory/kamalProject.ts";
import type { SshArgs } from "../accessory/sshConnection.ts";
import type { BackupKeysArgs, KeysArgs } from "../bucket/backupKeys.ts";
import type { BackupBucket } from "../bucket/bucket.ts";
import type { SigningArgs } from "../bucket/signingKey.ts";
import type { AgentImageArgs } from "../image/agentImage.ts";
import type { ImageSourceArgs } from "../image/imageSource.ts";
import type { PointInTimeArgs } from "../pointInTime/pointInTimeArgs.ts";
import type { CopyArgs } from "./copy.ts";
import type { Encryption } from "./encryption.ts";
import type { MemoryArgs } from "./memory.ts";
import type { ScratchArgs } from "./mounts.ts";
import type { NoticesArgs } from "./notices.ts";
import type { DatabaseArgs } from "./resolveDatabase.ts";
import type { DrillArgs, ScheduleArgs } from "./rhythm.ts";

/** What is done to data before it is handed over. */
export interface PullArgs {
  /**
   * File with SQL that masks the data, in one transaction, before anybody can connect. The path is relative to the folder of
   * Pulumi.yaml.
   * @example "mask.sql"
   */
  readonly mask: string;
}

export interface PostgresBackupArgs
  extends ScheduleArgs,
    DatabaseArgs,
    ImageSourceArgs,
    MemoryArgs,
    ScratchArgs {
  /** The Kamal application beside whose database the backup runs. */
  readonly kamal: KamalArgs;
  /**
   * Who boots the container. `"ssh"`: `pulumi up`, with the line that Kamal would run; the new container is tried before the old one
   * goes. `"kamal"`: `pulumi up` runs the application's own `kamal accessory boot` or `reboot`, and then looks at what it has really
   * done. `"render"`: `pulumi up` writes the files alone and leaves the host as it is; you run Kamal, and `status` and `drift` compare.
   * @default "ssh"
   */
  readonly driver?: Driver;
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
   * The key that signs backups, so that one that somebody else has put into the bucket is not taken for yours. It is made
   * whatever the bucket, and kept in the stack's state.
   * @default made once, and again when `keys.rotateAfter` changes
   * @example { rotateAfter: "2026-12" }
   */
  readonly signing?: SigningArgs;
  /**
   * What the bucket's provider charges, US dollars for a GB (10^9 bytes) in a month. For the estimate of cost at preview.
   * @default the package's table, which has Cloudflare R2 alone: other providers publish no dated price as text
   * @example 0.023
   */
  readonly usdPerGbMonth?: number;
  /**
   * Container of `eeshugerman/postgres-backup-s3` or a relative that this backup takes over from, by its name on the host. It goes
   * once the new container has proved itself, and stays where that fails. Its accessory must be out of deploy.yml;
   * `kamal-postgres-backup adopt` does all of it.
   * @default none
   * @example "shop-s3_backup"
   */
  readonly replacesContainer?: string;
  /**
   * Folder in the bucket.
   * @default the Kamal service, and below it the destination: "shop/production"
   */
  readonly prefix?: string;
  /**
   * The registry's login, for an image that is built and pushed, or pulled from there.
   * @default that of deploy.yml
   * @example { password: config.requireSecret("registryPassword") }
   */
  readonly registry?: RegistryArgs;
  /** How the hosts are reached, where neither deploy.yml nor this machine says it. */
  readonly ssh?: SshArgs;
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
  /**
   * Tables that come and go, or are emptied, between two backups by design: `name` or `schema.name`, with `*` for any
   * characters. One that is missing does not make a backup suspect, and its rows do not count when the size is compared.
   * Partitions and children by inheritance may go in any case.
   * @default none: each plain table that is gone makes the backup suspect
   * @example ["staging.*", "import_*"]
   */
  readonly transientTables?: readonly string[];
  /**
   * Longest time that one run of the backup may take, whole hours, 1 to 596. A run that takes longer is stopped, and the
   * container is unhealthy while it hangs.
   * @default the longer of 6 and the schedule's interval
   */
  readonly maxRunHours?: number;
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
   * Whether `pulumi up` has a new container back up at once where the bucket has no backup of the database, and waits until it was
   * read back. Where that fails, `pulumi up` fails, and the next one tries again. There is none with `driver: "render"`, nor with
   * `keys.access: "append-only"`, whose key does not see whether there is a backup.
   * @default true
   */
  readonly firstBackup?: boolean;
  /**
   * Has each `kamal deploy` of this destination wait for a backup, and not go on without one: `pulumi up` adds to Kamal's hook
   * `pre-deploy`, which needs Kamal alone. The backup is marked with the revision that is deployed. `SKIP_BACKUP=1 kamal deploy`
   * goes on without one.
   * @default deploys do not wait
   * @example { maxAgeMinutes: 15 }
   */
  readonly beforeDeploy?: BeforeDeployArgs;
  /**
   * What is promised of restores, and how it is proved.
   * @default nothing is promised
   * @example { rto: "10m", every: "7d", checks: "drill.sql" }
   */
  readonly drill?: DrillArgs;
  /**
   * How `kamal-postgres-backup pull` and `clone` hand data over.
   * @default each command says it
   * @example { mask: "mask.sql" }
   */
  readonly pull?: PullArgs;
  /**
   * Any second of the last days can be recovered, from base backups and WAL beside the dumps. `pulumi up` gives the server a role that
   * may replicate and monitor, one line in pg_hba.conf and `max_slot_wal_keep_size`, without a restart, and takes them away with the
   * argument. The database must be an accessory on the backup's own host.
   * @default the moments of the dumps alone
   * @example { keep: "14d" }
   */
  readonly pointInTime?: PointInTimeArgs;
  /**
   * Who is notified how each run ended.
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
