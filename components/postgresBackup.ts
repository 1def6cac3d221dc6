import * as pulumi from "@pulumi/pulumi";
import { type AgentSettings, toEnvironment } from "../agent/environment.ts";
import type { Accessory } from "../kamal/accessory.ts";
import { Schedule } from "../kamal/schedule.ts";
import { checkSecret } from "../kamal/secrets.ts";
import { AgentImage, type AgentImageArgs } from "./agentImage.ts";
import type { BackupKeys, BackupKeysArgs } from "./backupKeys.ts";
import type { BackupBucket } from "./bucket.ts";
import { explained, explainedApply } from "./explained.ts";
import { KamalAccessory, type KamalAccessoryArgs } from "./kamalAccessory.ts";
import { type KamalArgs, type KamalProject, readKamalProject } from "./kamalProject.ts";
import type { BackupOutputs } from "./outputs.ts";
import { type SettledBucket, settleBucket } from "./settleBucket.ts";
import { type Database, type PostgresArgs, settleDatabase } from "./settleDatabase.ts";
import { type SshArgs, settleSshAccess } from "./sshConnection.ts";

export interface PostgresBackupArgs {
  /** The Kamal application beside whose database the backup runs. */
  readonly kamal: KamalArgs;
  /**
   * Exact name of the database.
   * @default POSTGRES_DB of the database accessory
   * @example "shop_production"
   */
  readonly database?: string;
  /** Where backups go: an `AwsBackupBucket`, an `S3CompatibleBucket`, or a bucket that exists and is left alone. */
  readonly bucket: BackupBucket;
  /**
   * When to back up, in UTC.
   * @example Schedule.daily("03:15")
   * @example "@every 6h"
   */
  readonly schedule: Schedule | string;
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
   * A published image of the agent, by digest.
   * @default built for the server's major version and pushed to the application's own registry
   */
  readonly image?: string;
  /** Image that the agent's image is built on. @default see `AgentImageArgs.baseImage` */
  readonly baseImage?: string;
  /** Memory limit of the container. @default "256m" */
  readonly memory?: string;
  /** Changes to the children's arguments. */
  readonly transform?: {
    readonly keys?: NonNullable<BackupKeysArgs["transform"]>;
    readonly image?: NonNullable<AgentImageArgs["transform"]>;
    readonly accessory?: NonNullable<KamalAccessoryArgs["transform"]>;
  };
}

/**
 * Backs up one PostgreSQL database of a Kamal application: makes the container's key, builds its image, renders the
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
  /** The container's key; undefined for a bucket with keys of its own. */
  readonly keys: BackupKeys | undefined;
  /** The image; undefined when a published one was named. */
  readonly image: AgentImage | undefined;
  readonly accessory: KamalAccessory;

  /** What the command line reads. Export it under any name. */
  readonly outputs: pulumi.Output<BackupOutputs>;
  readonly location: pulumi.Output<BackupOutputs["location"]>;
  readonly writerKeyId: pulumi.Output<string>;

  constructor(name: string, args: PostgresBackupArgs, opts?: pulumi.ComponentResourceOptions) {
    super("kamal-postgres-backup:index:PostgresBackup", name, {}, opts);
    const { transform } = args;

    const schedule = explained(this, () => toSchedule(args.schedule));
    const project = explained(this, () => readKamalProject(args.kamal));
    for (const warning of project.config.warnings) pulumi.log.warn(warning, this);
    const database = explained(this, () =>
      settleDatabase(project, args.kamal, args.database, args.postgres),
    );
    const access = explained(this, () => settleSshAccess(project.config, database.hosts, args.ssh));
    const registry = explained(this, () => registryLogin(project));
    const bucket = settleBucket(this, name, args.bucket, prefixOf(project, args), transform?.keys);
    const image =
      args.image === undefined
        ? this.buildImage(name, args, project, database, registry)
        : undefined;

    const settings = explainedApply(this, settingsOf(schedule, database, bucket), checkedSettings);
    const secrets = settings.apply((s) => ({ ...toEnvironment(s).secret }));
    const passwordName = database.passwordFrom ?? kamalSecretName(args, "POSTGRES_PASSWORD");
    const accessory = pulumi.unsecret(
      pulumi
        .all([settings, image?.reference ?? (args.image as string)])
        .apply(([s, reference]) =>
          accessoryOf(s, reference, args, project, database, passwordName),
        ),
    );

    this.accessory = new KamalAccessory(
      name,
      {
        key: accessoryKey(args),
        accessory,
        secrets,
        kamalSecrets: secrets.apply((s) => kamalSecretsOf(s, args, database)),
        deployFile: project.deployFile,
        secretsFile: project.secretsFile,
        access,
        ...(registry && { registry }),
        ...(transform?.accessory && { transform: transform.accessory }),
      },
      { parent: this },
    );

    this.keys = bucket.keys;
    this.image = image;
    this.location = bucket.location;
    this.writerKeyId = pulumi.unsecret(bucket.accessKeyId);
    this.outputs = pulumi.all([accessory, bucket.location, this.writerKeyId]).apply(
      ([a, location, writerKeyId]): BackupOutputs => ({
        kind: "kamal-postgres-backup",
        version: 1,
        name,
        database: database.name,
        accessory: a.key,
        container: a.container,
        hosts: [...access.hosts],
        ...(access.proxy && { proxy: access.proxy }),
        identityFiles: [...access.identityFiles],
        location,
        writerKeyId,
        image: a.image,
        schedule: schedule.toString(),
        ...(bucket.retentionDays !== undefined && { retentionDays: bucket.retentionDays }),
        rpoHours: rpoHours(schedule),
      }),
    );
    this.registerOutputs({
      outputs: this.outputs,
      location: this.location,
      writerKeyId: this.writerKeyId,
    });
  }

  private buildImage(
    name: string,
    args: PostgresBackupArgs,
    project: KamalProject,
    database: Database,
    registry: RegistryLogin | undefined,
  ): AgentImage {
    const repository = `${project.config.service}-${accessoryKey(args).replaceAll("_", "-")}`;
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

const accessoryKey = (args: PostgresBackupArgs): string => args.kamal.accessory ?? "db_backup";

function toSchedule(schedule: Schedule | string): Schedule {
  return typeof schedule === "string" ? Schedule.parse(schedule) : schedule;
}

/** Two hours of grace: a run takes a while, and one that failed is tried again at the next time only. */
function rpoHours(schedule: Schedule): number {
  return schedule.longestGapHours() + 2;
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
): pulumi.Output<AgentSettings> {
  return pulumi
    .all([database.password, bucket.location, bucket.accessKeyId, bucket.secretAccessKey])
    .apply(([password, location, accessKeyId, secretAccessKey]) => ({
      schedule: schedule.toString(),
      jitterSeconds: 0,
      postgres: {
        host: database.host,
        port: database.port,
        user: database.user,
        password,
        database: database.name,
        dumpOptions: "",
      },
      databases: [database.name],
      excludedDatabases: [],
      store: {
        ...location,
        accessKeyId,
        secretAccessKey,
        allowInsecure: bucket.allowInsecure,
        ...(bucket.checksums && { checksums: bucket.checksums }),
      },
      compressionLevel: 1,
      globals: true,
      verify: false,
      tiers: bucket.tiered ?? false,
      maxShrinkPercent: 50,
      notices: {},
    }));
}

/** Everything below waits for this, so that nothing is declared from a secret that Kamal would alter. */
function checkedSettings(settings: AgentSettings): AgentSettings {
  const { secret } = toEnvironment(settings);
  for (const [name, value] of Object.entries(secret)) checkSecret(name, value);
  return settings;
}

function kamalSecretName(args: PostgresBackupArgs, name: string): string {
  return `${accessoryKey(args).toUpperCase()}_${name}`;
}

/** Those that Kamal has already are only referred to. */
function kamalSecretsOf(
  secrets: Record<string, string>,
  args: PostgresBackupArgs,
  database: Database,
): Record<string, string> {
  const own = Object.entries(secrets).filter(
    ([name]) => name !== "POSTGRES_PASSWORD" || database.passwordFrom === undefined,
  );
  return Object.fromEntries(own.map(([name, value]) => [kamalSecretName(args, name), value]));
}

function accessoryOf(
  settings: AgentSettings,
  image: string,
  args: PostgresBackupArgs,
  project: KamalProject,
  database: Database,
  passwordName: string,
): Accessory {
  const { service, logging } = project.config;
  const { destination } = args.kamal;
  const key = accessoryKey(args);
  const { clear, secret } = toEnvironment(settings);
  return {
    key,
    service,
    ...(destination !== undefined && { destination }),
    // Kamal's container names lack the destination, so that two on one host would collide.
    container: [service, destination, key].filter(Boolean).join("-"),
    image,
    hosts: [...database.hosts],
    labels: {},
    // A backup that runs when the container is stopped gets the time to abort its upload.
    options: { "read-only": true, memory: args.memory ?? "256m", "stop-timeout": "30" },
    clear: { ...clear },
    secrets: Object.keys(secret).map((name) => ({
      name,
      from: name === "POSTGRES_PASSWORD" ? passwordName : kamalSecretName(args, name),
    })),
    ...(logging && { logging }),
    network: "kamal",
  };
}
