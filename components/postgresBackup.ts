import * as pulumi from "@pulumi/pulumi";
import { type AgentSettings, toEnvironment } from "../agent/environment.ts";
import { Problem } from "../kamal/problem.ts";
import { Schedule } from "../kamal/schedule.ts";
import { checkSecret } from "../kamal/secrets.ts";
import { AgentImage, type AgentImageArgs } from "./agentImage.ts";
import type { BackupKeys, BackupKeysArgs, KeysArgs } from "./backupKeys.ts";
import type { BackupBucket } from "./bucket.ts";
import {
  type AccessoryNames,
  accessoryNames,
  accessoryOf,
  kamalSecretsOf,
} from "./declaredAccessory.ts";
import { Encryption } from "./encryption.ts";
import { explained, explainedApply } from "./explained.ts";
import { KamalAccessory, type KamalAccessoryArgs } from "./kamalAccessory.ts";
import { type KamalArgs, type KamalProject, readKamalProject } from "./kamalProject.ts";
import { type NoticesArgs, settleNotices } from "./notices.ts";
import type { BackupOutputs } from "./outputs.ts";
import { pinnedImage } from "./publishedImage.ts";
import { checkRetention } from "./retentionCheck.ts";
import { type SettledBucket, settleBucket } from "./settleBucket.ts";
import { type Database, type PostgresArgs, settleDatabase } from "./settleDatabase.ts";
import { type SshArgs, settleSshAccess } from "./sshConnection.ts";

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
  /** Where backups go: an `AwsBackupBucket`, or a bucket that exists at any S3-compatible service. */
  readonly bucket: BackupBucket;
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

/**
 * Backs up the PostgreSQL databases of a Kamal application: makes the container's key, builds its image, renders the
 * accessory into deploy.yml, boots it on the database's host and proves that it can write to the bucket.
 *
 * @example
 * const backup = new PostgresBackup("shop", {
 *   kamal: { config: "../shop/config/deploy.yml", destination: "production" },
 *   bucket: new AwsBackupBucket("shop-backups", { retention: Retention.days(30) }),
 *   schedule: Schedule.daily("03:15"),
 * });
 * export const outputs = backup.outputs;
 */
export class PostgresBackup extends pulumi.ComponentResource {
  /** The container's key and the reader's; undefined for a bucket with keys of its own. */
  readonly keys: BackupKeys | undefined;
  /** The image; undefined when a published one was named. */
  readonly image: AgentImage | undefined;
  readonly accessory: KamalAccessory;

  /** What the command line reads. Export it under any name. */
  readonly outputs: pulumi.Output<BackupOutputs>;
  readonly location: pulumi.Output<BackupOutputs["location"]>;
  readonly writerKeyId: pulumi.Output<string>;
  /** The key for restoring from elsewhere, never on the host; undefined for a bucket with keys of its own. */
  readonly readerKeyId: pulumi.Output<string> | undefined;
  /** Secret. */
  readonly readerSecretKey: pulumi.Output<string> | undefined;

  constructor(name: string, args: PostgresBackupArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kamal-postgres-backup:index:PostgresBackup", name, {}, opts);
    const { transform } = args;

    const schedule = explained(this, () => toSchedule(args.schedule));
    explained(this, () => checkNumbers(args));
    if ("keeping" in args.bucket) {
      checkRetention(this, schedule, args.bucket.keeping, args.backupBytes);
    }
    const project = explained(this, () => readKamalProject(args.kamal));
    for (const warning of project.config.warnings) pulumi.log.warn(warning, this);
    const names = explained(this, () => accessoryNames(args.kamal, project.config.service));
    const database = explained(this, () =>
      settleDatabase(project, args.kamal, args.database, args.postgres),
    );
    const access = explained(this, () => settleSshAccess(project.config, database.hosts, args.ssh));
    const registry = explained(this, () => registryLogin(project));
    const bucket = settleBucket(
      this,
      name,
      args.bucket,
      prefixOf(project, args),
      args.keys,
      transform?.keys,
    );
    const image =
      args.image === undefined
        ? this.buildImage(name, args, project, names, database, registry)
        : undefined;

    const notices = explained(this, () => settleNotices(this, args.notices));
    const settings = explainedApply(
      this,
      settingsOf(
        schedule,
        database,
        bucket,
        args,
        notices,
        Encryption.settle(this, args.encryption),
      ),
      checkedSettings,
    );
    const secrets = settings.apply((s) => ({ ...toEnvironment(s).secret }));
    const accessory = pulumi.unsecret(
      pulumi
        .all([
          settings,
          image?.reference ?? pinnedImage(this, "image", args.image as string, registry),
        ])
        .apply(([s, reference]) =>
          accessoryOf(names, s, reference, args.memory ?? "256m", database, project.config.logging),
        ),
    );

    this.accessory = new KamalAccessory(
      name,
      {
        names,
        accessory,
        secrets,
        kamalSecrets: settings.apply((s) => kamalSecretsOf(names, s, database)),
        deployFile: project.deployFile,
        secretsFile: project.secretsFile,
        access,
        patience: bucket.keys === undefined ? 0 : 60,
        ...(registry && { registry }),
        ...(transform?.accessory && { transform: transform.accessory }),
      },
      { parent: this },
    );

    this.keys = bucket.keys;
    this.image = image;
    this.location = bucket.location;
    this.writerKeyId = pulumi.unsecret(bucket.accessKeyId);
    this.readerKeyId = bucket.keys?.reader.accessKeyId;
    this.readerSecretKey = bucket.keys?.reader.secretAccessKey;
    this.outputs = pulumi.all([accessory, bucket.location, this.writerKeyId]).apply(
      ([{ image: reference }, location, writerKeyId]): BackupOutputs => ({
        kind: "kamal-postgres-backup",
        version: 1,
        name,
        database: database.names[0],
        databases: [...database.names],
        accessory: names.key,
        container: names.container,
        hosts: [...access.hosts],
        ...(access.proxy && { proxy: access.proxy }),
        identityFiles: [...access.identityFiles],
        location,
        writerKeyId,
        image: reference,
        schedule: schedule.toString(),
        ...(bucket.retentionDays !== undefined && { retentionDays: bucket.retentionDays }),
        ...(bucket.tierDays && { tierDays: bucket.tierDays }),
        rpoHours: rpoHours(schedule, args.jitterSeconds),
      }),
    );
    this.registerOutputs({
      outputs: this.outputs,
      location: this.location,
      writerKeyId: this.writerKeyId,
      readerKeyId: this.readerKeyId,
      readerSecretKey: this.readerSecretKey,
    });
  }

  private buildImage(
    name: string,
    args: PostgresBackupArgs,
    project: KamalProject,
    { service, key }: AccessoryNames,
    database: Database,
    registry: RegistryLogin | undefined,
  ): AgentImage {
    const repository = `${service}-${key.replaceAll("_", "-")}`;
    return new AgentImage(
      `${name}-agent`,
      {
        repository: [project.config.registry.server, repository].filter(Boolean).join("/"),
        ...(registry && { registry }),
        postgresMajor: database.major,
        ...(args.baseImage !== undefined && { baseImage: args.baseImage }),
        ...(args.transform?.image && { transform: args.transform.image }),
      },
      { parent: this },
    );
  }
}

type RegistryLogin = NonNullable<KamalAccessoryArgs["registry"]>;

function toSchedule(schedule: Schedule | string): Schedule {
  return typeof schedule === "string" ? Schedule.parse(schedule) : schedule;
}

/** Two hours of grace: a run takes a while, and one that failed is tried again at the next time only. */
function rpoHours(schedule: Schedule, jitterSeconds = 0): number {
  return schedule.longestGapHours() + Math.ceil(jitterSeconds / 3600) + 2;
}

/** A program in TypeScript may have them from a configuration, where no type was checked. */
function checkNumbers({ jitterSeconds = 0, compressionLevel = 1 }: PostgresBackupArgs): void {
  const check = (argument: string, value: number, least: number, most: number) => {
    if (Number.isInteger(value) && value >= least && value <= most) return;
    throw new Problem(`${argument} ${value} must be a whole number from ${least} to ${most}.`);
  };
  check("jitterSeconds", jitterSeconds, 0, 86_400);
  check("compressionLevel", compressionLevel, 1, 3);
}

function prefixOf(project: KamalProject, args: PostgresBackupArgs): string {
  return args.prefix ?? [project.config.service, args.kamal.destination].filter(Boolean).join("/");
}

/** Kamal's own login, so that what Kamal can pull after us, we pushed. */
function registryLogin(project: KamalProject): RegistryLogin | undefined {
  const { server, username, password } = project.config.registry;
  if (username === undefined || password === undefined) return undefined;
  const instead = "registry.password as a literal in Kamal's secrets";
  return {
    server: server ?? "docker.io",
    username: typeof username === "string" ? username : project.secret(username.secret, instead),
    password: pulumi.secret(project.secret(password.secret, instead)),
  };
}

/** The one value from which environment, secrets, block, `docker run` line and digest are made. */
function settingsOf(
  schedule: Schedule,
  database: Database,
  bucket: SettledBucket,
  args: PostgresBackupArgs,
  notices: pulumi.Output<AgentSettings["notices"]>,
  encryption: pulumi.Output<AgentSettings["encryption"]>,
): pulumi.Output<AgentSettings> {
  return pulumi
    .all([
      database.password,
      bucket.location,
      bucket.accessKeyId,
      bucket.secretAccessKey,
      notices,
      encryption,
    ])
    .apply(([password, location, accessKeyId, secretAccessKey, told, sealed]) => ({
      schedule: schedule.toString(),
      jitterSeconds: args.jitterSeconds ?? 0,
      postgres: {
        host: database.host,
        port: database.port,
        user: database.user,
        password,
        database: database.names[0],
        dumpOptions: "",
      },
      databases: [...database.names],
      excludedDatabases: [],
      store: { ...location, accessKeyId, secretAccessKey, allowInsecure: bucket.allowInsecure },
      ...(sealed && { encryption: sealed }),
      compressionLevel: args.compressionLevel ?? 1,
      globals: true,
      verify: args.verify ?? false,
      tiers: bucket.tierDays !== undefined,
      maxShrinkPercent: 50,
      notices: told,
    }));
}

/** Everything below waits for this, so that nothing is declared from a secret that Kamal would alter. */
function checkedSettings(settings: AgentSettings): AgentSettings {
  const { secret } = toEnvironment(settings);
  for (const [name, value] of Object.entries(secret)) checkSecret(name, value);
  return settings;
}
