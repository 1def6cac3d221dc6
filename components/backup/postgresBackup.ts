import * as pulumi from "@pulumi/pulumi";
import { toEnvironment } from "../../common/contracts/agentEnvironment/environment.ts";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { Schedule } from "../../common/schedule/schedule.ts";
import { KamalAccessory, type KamalAccessoryArgs } from "../accessory/kamalAccessory.ts";
import { type KamalProject, readKamalProject } from "../accessory/kamalProject.ts";
import { type SshAccess, settleSshAccess } from "../accessory/sshConnection.ts";
import type { BackupKeys } from "../bucket/backupKeys.ts";
import { keepingIn, settleBucket } from "../bucket/resolveBucket.ts";
import { checkRetention } from "../bucket/retentionCheck.ts";
import { AgentImage } from "../image/agentImage.ts";
import { HostAgentImage, isBuiltOnHost } from "../image/hostAgentImage.ts";
import { pinnedImage } from "../image/publishedImage.ts";
import { withDynamicProvider } from "../pulumi/dynamicPackage.ts";
import { explained, explainedApply } from "../pulumi/resourceError.ts";
import { type AccessoryNames, accessoryNames, accessoryOf, kamalSecretsOf } from "./accessory.ts";
import { checkedSettings, settingsOf } from "./agentSettings.ts";
import { settleCopy, withCopy } from "./copy.ts";
import { Encryption } from "./encryption.ts";
import { tellMemory } from "./memory.ts";
import { settleNotices } from "./notices.ts";
import type { PostgresBackupArgs } from "./postgresBackupArgs.ts";
import { rpoHours } from "./recoveryPoint.ts";
import { type Database, settleDatabase } from "./resolveDatabase.ts";
import { checkArgs } from "./validateArgs.ts";

/**
 * Backs up the PostgreSQL databases of a Kamal application: makes the container's key, builds its image, renders the
 * accessory into deploy.yml, boots it on the database's host and proves that it can write to the bucket.
 *
 * Where `pulumi:disable-default-providers` is set, give it `providers` of `docker`, `command` and, with an
 * `AwsBackupBucket`, `aws`; its dynamic resources bring their own.
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
  /** Those for the copies; undefined without a copy, or for a bucket with keys of its own. */
  readonly copyKeys: BackupKeys | undefined;
  /** The image; undefined when a published one was named. */
  readonly image: AgentImage | HostAgentImage | undefined;
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
    super("kamal-postgres-backup:index:PostgresBackup", name, {}, withDynamicProvider(opts));
    const { transform } = args;

    const schedule = explained(this, () => toSchedule(args.schedule));
    explained(this, () => checkArgs(args));
    const keeping = keepingIn(args.bucket);
    if (keeping) {
      checkRetention(this, schedule, keeping, {
        ...(args.backupBytes !== undefined && { backupBytes: args.backupBytes }),
        ...(args.usdPerGbMonth !== undefined && { usdPerGbMonth: args.usdPerGbMonth }),
      });
    }
    const project = explained(this, () => readKamalProject(args.kamal));
    for (const warning of project.config.warnings) pulumi.log.warn(warning, this);
    const names = explained(this, () => accessoryNames(args.kamal, project.config.service));
    const database = explained(this, () =>
      settleDatabase(project, args.kamal, args, args.postgres),
    );
    const access = explained(this, () => settleSshAccess(project.config, database.hosts, args.ssh));
    const onHost = explained(this, () => isBuiltOnHost(args.build, args.image));
    const registry = onHost ? undefined : explained(this, () => registryLogin(project));
    const bucket = settleBucket(
      this,
      name,
      args.bucket,
      prefixOf(project, args),
      args.keys,
      transform?.keys,
    );
    const copy = settleCopy(this, name, args, bucket, prefixOf(project, args), schedule);
    const image =
      args.image !== undefined
        ? undefined
        : onHost
          ? this.buildOnHosts(name, args, names, database, access)
          : this.buildImage(name, args, project, names, database, registry);

    const notices = explained(this, () => settleNotices(this, args.notices));
    const encryption = Encryption.settle(this, args.encryption);
    const own = settingsOf(schedule, database, bucket, args, notices, encryption);
    const settings = explainedApply(this, withCopy(own, copy), checkedSettings);
    const secrets = settings.apply((s) => ({ ...toEnvironment(s).secret }));
    tellMemory(this, args);
    const accessory = pulumi.unsecret(
      pulumi
        .all([
          settings,
          image?.reference ?? pinnedImage(this, "image", args.image as string, registry),
        ])
        .apply(([s, reference]) =>
          accessoryOf(names, s, database, {
            ...args,
            image: reference,
            logging: project.config.logging,
          }),
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
        // The probe has waited for the key too, but from here: the host may ask another server of AWS, or be the only one
        // that reaches the bucket.
        patience: bucket.keys || bucket.madeKeys || copy?.madeKeys ? 60 : 0,
        ...(registry && { registry }),
        ...(transform?.accessory && { transform: transform.accessory }),
      },
      { parent: this },
    );

    this.keys = bucket.keys;
    this.copyKeys = copy?.keys;
    this.image = image;
    this.location = bucket.location;
    this.writerKeyId = pulumi.unsecret(bucket.accessKeyId);
    this.readerKeyId = bucket.keys?.reader.accessKeyId;
    this.readerSecretKey = bucket.keys?.reader.secretAccessKey;
    this.outputs = pulumi.all([accessory, bucket.location, this.writerKeyId, copy?.outputs]).apply(
      ([{ image: reference }, location, writerKeyId, copied]): BackupOutputs => ({
        kind: "kamal-postgres-backup",
        version: 1,
        name,
        ...databaseOutputs(database),
        accessory: names.key,
        container: names.container,
        hosts: [...access.hosts],
        ...(access.proxy && { proxy: access.proxy }),
        identityFiles: [...access.identityFiles],
        location,
        writerKeyId,
        image: reference,
        schedule: schedule.toString(),
        ...(bucket.retentionDays !== undefined && {
          retentionDays: args.keep?.days ?? bucket.retentionDays,
        }),
        ...(bucket.tierDays && { tierDays: bucket.tierDays }),
        rpoHours: rpoHours(schedule, args.jitterSeconds),
        ...(copied && { copy: copied }),
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

  private buildOnHosts(
    name: string,
    { baseImage }: PostgresBackupArgs,
    { container }: AccessoryNames,
    { major }: Database,
    access: SshAccess,
  ): HostAgentImage {
    return new HostAgentImage(
      `${name}-agent`,
      {
        name: container,
        postgresMajor: major,
        ...(baseImage !== undefined && { baseImage }),
        access,
      },
      { parent: this },
    );
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

function databaseOutputs({ names }: Database): Pick<BackupOutputs, "database" | "databases"> {
  return names === "all"
    ? { database: "", databases: "all" }
    : { database: names[0], databases: [...names] };
}

function toSchedule(schedule: Schedule | string): Schedule {
  return typeof schedule === "string" ? Schedule.parse(schedule) : schedule;
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
