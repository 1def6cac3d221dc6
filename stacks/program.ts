import * as pulumi from "@pulumi/pulumi";
import { checkRecipients } from "../components/backup/encryption.ts";
import { retentionInDays, retentionInTiers } from "../components/bucket/retentionCheck.ts";
import {
  type AgentBuild,
  AwsBackupBucket,
  type AwsBackupBucketArgs,
  type BackupBucket,
  type CopyArgs,
  type Driver,
  Encryption,
  type ExistingBucket,
  type KeyAccess,
  PostgresBackup,
  type PostgresBackupArgs,
  Problem,
  type SslMode,
} from "../components/index.ts";
import { nameSettings } from "../components/pulumi/settingNames.ts";
import { SETTINGS, type Setting } from "./settings.ts";

/** A key of the configuration, as a file of a stack and `pulumi config` have it. */
const key = (name: string) => `kamal-postgres-backup:${name}`;

/** The configuration's word for each argument, so that a message names what its reader has set. */
const WORDS: Readonly<Record<string, string>> = Object.fromEntries(
  (SETTINGS as readonly Setting[]).flatMap(({ name, argument = [] }) =>
    [argument].flat().map((path) => [path, key(name)]),
  ),
);

/**
 * Declares the backup that the stack's configuration describes. The settings and what they mean stand in `settings.ts`;
 * `pulumi up` runs this through `index.ts`, the tests run it as an inline program.
 */
export function declareBackup(): PostgresBackup {
  const config = new pulumi.Config("kamal-postgres-backup");
  const name = config.get("name") ?? "backup";
  return new PostgresBackup(name, backupArgs(name, config));
}

/** The arguments that the configuration comes to, which know how it calls them. */
export function backupArgs(name: string, config: pulumi.Config): PostgresBackupArgs {
  const databasePassword = config.getSecret("databasePassword");
  const sslMode = config.get<SslMode>("databaseSslMode");
  const sshPrivateKey = config.getSecret("sshPrivateKey");
  const sshProxyKeys = config.getSecretObject<Record<string, string>>("sshProxyKeys");
  const pingUrl = config.getSecret("pingUrl");
  const webhookUrl = config.getSecret("webhookUrl");
  const signingKeys = config.getSecret("signingKeys");
  const hostKeys = config.getObject<Record<string, string>>("hostKeys");

  const args: PostgresBackupArgs = {
    kamal: {
      config: config.require("kamalConfig"),
      ...given("destination", config.get("destination")),
      ...given("secretsFile", config.get("secretsFile")),
      ...given("service", config.get("service")),
      runSecretCommands: config.getBoolean("runSecretCommands") ?? false,
      ...given("databaseAccessory", config.get("databaseAccessory")),
      ...given("accessory", config.get("accessory")),
      ...given(
        "secrets",
        config.get<"literal" | "outputs">("secrets", { allowedValues: ["literal", "outputs"] }),
      ),
    },
    ...given("replacesContainer", config.get("replacesContainer")),
    ...given("driver", config.get<Driver>("driver", { allowedValues: ["ssh", "kamal", "render"] })),
    ...databasesOf(config),
    ...hostsOf(config),
    ...registryOf(config),
    bucket: chooseBucket(name, config),
    ...copyOf(config),
    ...given("prefix", config.get("prefix")),
    schedule: config.get("schedule") ?? "15 3 * * *",
    ...bytesOf(config),
    ...priceOf(config),
    keys: {
      access:
        config.get<KeyAccess>("keyAccess", { allowedValues: ["restorable", "append-only"] }) ??
        "restorable",
      ...given("rotateAfter", config.get("rotateAfter")),
    },
    signing: {
      ...given("rotateAfter", config.get("signingRotateAfter")),
      ...(signingKeys && { keys: signingKeys }),
    },
    postgres: {
      ...(databasePassword && { password: databasePassword }),
      ...given("host", config.get("databaseHost")),
      ...given("port", config.getNumber("databasePort")),
      ...given("user", config.get("databaseUser")),
      ...given("major", config.getNumber("databaseMajor")),
      ...given("network", config.get("databaseNetwork")),
      ...(sslMode && { sslMode }),
      ...given("sslRootCertificate", config.get("databaseSslRootCertificate")),
    },
    ssh: {
      ...(hostKeys && { hostKeys }),
      ...(sshPrivateKey && { privateKey: sshPrivateKey }),
      ...given("user", config.get("sshUser")),
      ...given("port", config.getNumber("sshPort")),
      ...given("proxy", config.get("sshProxy")),
      ...(sshProxyKeys && { proxyKeys: sshProxyKeys }),
    },
    ...imageOf(config),
    ...given("memory", config.get("memory")),
    ...given("scratch", config.get("scratch")),
    ...encryptionOf(config),
    jitterSeconds: config.getNumber("jitterSeconds") ?? 0,
    compressionLevel: (config.getNumber("compressionLevel") ?? 1) as 1 | 2 | 3,
    verify: config.getBoolean("verify") ?? false,
    ...keepOf(config),
    maxShrinkPercent: config.getNumber("maxShrinkPercent") ?? 50,
    transientTables: namesIn(config.get("transientTables")),
    ...given("maxRunHours", config.getNumber("maxRunHours")),
    globals: config.getBoolean("globals") ?? true,
    dumpOptions: (config.get("dumpOptions") ?? "").split(/\s+/).filter(Boolean),
    ...beforeDeployOf(config),
    notices: {
      ...(pingUrl && { pingUrl }),
      ...(webhookUrl && { webhookUrl }),
      ...given("metricsFile", config.get("metricsFile")),
    },
  };
  return nameSettings(args, { ...WORDS, ...bucketWords(config) });
}

/** A published image, else one that is built; "registry" is no choice, as Pulumi fills it in where nothing is set. */
function imageOf(
  config: pulumi.Config,
): Pick<PostgresBackupArgs, "image" | "build" | "repository" | "platform" | "baseImage"> {
  const image = config.get("image");
  const build =
    config.get<AgentBuild>("build", { allowedValues: ["registry", "host"] }) ?? "registry";
  return {
    ...given("image", image),
    ...(image && build === "registry" ? {} : { build }),
    ...given("repository", config.get("imageRepository")),
    ...given("platform", config.get("platform")),
    ...given("baseImage", config.get("baseImage")),
  };
}

/** For recipients, else by a passphrase, else not at all; "none" says that this is meant. */
function encryptionOf(config: pulumi.Config): { encryption?: Encryption } {
  const recipients = config.get("ageRecipients");
  const passphrase = config.getSecret("passphrase");
  if (recipients && passphrase) {
    throw new Problem(
      "ageRecipients and passphrase are both set. Keep one of them: pulumi config rm ageRecipients, or pulumi config rm passphrase",
    );
  }
  if (recipients === "none") return { encryption: Encryption.none() };
  if (recipients) {
    const publicKeys = recipients.split(",").map((publicKey) => publicKey.trim());
    checkRecipients(publicKeys, key("ageRecipients"));
    return { encryption: Encryption.recipients(publicKeys) };
  }
  return passphrase ? { encryption: Encryption.passphrase(passphrase) } : {};
}

/** An age is only asked for where deploys wait. */
function beforeDeployOf(config: pulumi.Config): Pick<PostgresBackupArgs, "beforeDeploy"> {
  const maxAgeMinutes = config.getNumber("beforeDeployMaxAgeMinutes") ?? 0;
  if (config.getBoolean("beforeDeploy") ?? false) return { beforeDeploy: { maxAgeMinutes } };
  if (maxAgeMinutes === 0) return {};
  throw new Problem(
    `${key("beforeDeployMaxAgeMinutes")} is ${maxAgeMinutes}, but no deploy waits for a backup. Set that too: pulumi config set beforeDeploy true`,
  );
}

/** One name, several with commas between them, or every one but the excluded. */
function databasesOf(
  config: pulumi.Config,
): Pick<PostgresBackupArgs, "database" | "excludeDatabases"> {
  const text = config.get("database");
  const excluded = namesIn(config.get("excludeDatabases"));
  return {
    ...(text && { database: text === "all" ? text : namesIn(text) }),
    ...(excluded.length > 0 && { excludeDatabases: excluded }),
  };
}

/** With commas between them. */
function hostsOf(config: pulumi.Config): Pick<PostgresBackupArgs, "hosts"> {
  const hosts = namesIn(config.get("hosts"));
  return hosts.length > 0 ? { hosts } : {};
}

function registryOf(config: pulumi.Config): Pick<PostgresBackupArgs, "registry"> {
  const password = config.getSecret("registryPassword");
  const registry = {
    ...given("server", config.get("registryServer")),
    ...given("username", config.get("registryUsername")),
    ...(password && { password }),
  };
  return Object.keys(registry).length > 0 ? { registry } : {};
}

function namesIn(text = ""): string[] {
  return text === "" ? [] : text.split(",").map((name) => name.trim());
}

/** 0: not known. */
function bytesOf(config: pulumi.Config): Pick<PostgresBackupArgs, "backupBytes"> {
  const backupBytes = config.getNumber("backupBytes") ?? 0;
  return backupBytes === 0 ? {} : { backupBytes };
}

/** A fraction, which Pulumi has no type for. */
function priceOf(config: pulumi.Config): Pick<PostgresBackupArgs, "usdPerGbMonth"> {
  const text = config.get("usdPerGbMonth");
  if (!text) return {};
  const usdPerGbMonth = Number(text);
  if (usdPerGbMonth >= 0) return { usdPerGbMonth };
  throw new Problem(
    `${key("usdPerGbMonth")} "${text}" is no price. Give US dollars for a GB in a month, e.g. 0.023.`,
  );
}

/** 0 days: nothing is deleted by the container. */
function keepOf(config: pulumi.Config): Pick<PostgresBackupArgs, "keep"> {
  const days = config.getNumber("keepDays") ?? 0;
  const atLeast = config.getNumber("keepAtLeast");
  return days === 0 ? {} : { keep: { days, ...(atLeast !== undefined && { atLeast }) } };
}

/** A bucket as the configuration gives it, without its keys. */
type Given = Pick<ExistingBucket, "name" | "endpoint" | "region" | "allowInsecure" | "caFile">;

/** As the configuration has it; days and tiers are those of the bucket's own rules. */
interface ConfiguredBucket extends Given {
  readonly retentionDays?: unknown;
  readonly retentionTiers?: unknown;
}

/** The type that each part of a bucket must have where it is given. */
const PARTS = {
  name: "string",
  region: "string",
  endpoint: "string",
  allowInsecure: "boolean",
  caFile: "string",
  prefix: "string",
} as const;

/**
 * A bucket that the configuration describes, in which the types cannot see what is missing.
 * @throws Problem that names the key and how to set it
 */
function bucketIn<T extends Given>(config: pulumi.Config, setting: string): T | undefined {
  const bucket = config.getObject<T>(setting);
  if (bucket === undefined) return undefined;
  if (!isObject(bucket)) {
    throw new Problem(
      `${key(setting)} is ${JSON.stringify(bucket)}. Set its name and region: pulumi config set --path ${setting}.name NAME, and so on`,
    );
  }
  for (const part of ["name", "region"] as const) {
    if ((bucket[part] ?? undefined) !== undefined) continue;
    throw new Problem(
      `${key(setting)} has no ${part}. Set it: pulumi config set --path ${setting}.${part} ${part.toUpperCase()}`,
    );
  }
  for (const [part, type] of Object.entries(PARTS)) {
    const value: unknown = (bucket as Readonly<Record<string, unknown>>)[part];
    if (value === undefined || value === null || typeof value === type) continue;
    const wanted =
      type === "string" ? "a text, in quotes where it looks like a number" : "true or false";
    throw new Problem(`${key(setting)}.${part} is ${JSON.stringify(value)}. Give ${wanted}.`);
  }
  // YAML has null for a key without a value.
  const given = Object.entries(bucket).filter(
    ([part, value]) => value !== null || !(part in PARTS),
  );
  return Object.fromEntries(given) as unknown as T;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A bucket of the user's if the configuration names one, else one on AWS. */
function chooseBucket(name: string, config: pulumi.Config): BackupBucket {
  const tiers = config.getObject<unknown>("retentionTiers") ?? undefined;
  const existing = bucketIn<ConfiguredBucket>(config, "existingBucket");
  if (existing) {
    if (tiers !== undefined) {
      throw new Problem(
        "retentionTiers is for a bucket made here. Where existingBucket's own rules have folders for tiers, say so in it: pulumi config set --path existingBucket.retentionTiers.daily 7, and so on",
      );
    }
    const { retentionDays, retentionTiers, ...bucket } = existing;
    return {
      ...bucket,
      ...(retentionDays !== undefined && {
        retention: retentionInDays(retentionDays, key("existingBucket.retentionDays")),
      }),
      ...((retentionTiers ?? undefined) !== undefined && {
        retention: retentionInTiers(retentionTiers, key("existingBucket.retentionTiers")),
      }),
      accessKeyId: config.requireSecret("accessKeyId"),
      secretAccessKey: config.requireSecret("secretAccessKey"),
    } as ExistingBucket;
  }
  const args: AwsBackupBucketArgs = {
    retention:
      tiers === undefined
        ? retentionInDays(config.getNumber("retentionDays") ?? 30, key("retentionDays"))
        : retentionInTiers(tiers, key("retentionTiers")),
    // Without tiers the rules are for the whole bucket, so that a change of the prefix leaves nothing behind.
    ...(tiers !== undefined && given("prefix", config.get("prefix"))),
    forceDestroy: config.getBoolean("forceDestroy") ?? false,
    ...given("endpoint", config.get("s3Endpoint")),
    allowInsecure: config.getBoolean("s3AllowInsecure") ?? false,
  };
  const words = {
    prefix: key("prefix"),
    endpoint: key("s3Endpoint"),
    allowInsecure: key("s3AllowInsecure"),
  };
  return new AwsBackupBucket(`${name}-backups`, nameSettings(args, words));
}

/** The words for the arguments of the bucket, which is the user's or made here. */
function bucketWords(config: pulumi.Config): Record<string, string> {
  const existing = config.getObject<ConfiguredBucket>("existingBucket");
  const retention = (tiers: unknown) => (tiers ? "retentionTiers" : "retentionDays");
  if (existing) {
    return {
      bucket: key("existingBucket"),
      "bucket.accessKeyId": key("accessKeyId"),
      "bucket.secretAccessKey": key("secretAccessKey"),
      "bucket.retention": key(`existingBucket.${retention(existing.retentionTiers)}`),
    };
  }
  return {
    retention: key(retention(config.getObject("retentionTiers"))),
    "bucket.endpoint": key("s3Endpoint"),
    "bucket.region": "aws:region",
    "bucket.allowInsecure": key("s3AllowInsecure"),
  };
}

/** A copy in a second bucket that exists, if the configuration names one. */
function copyOf(config: pulumi.Config): { copy?: CopyArgs } {
  const bucket = bucketIn<Given & { prefix?: string }>(config, "copyBucket");
  if (!bucket) return {};
  const { prefix, ...place } = bucket;
  return {
    copy: {
      bucket: {
        ...place,
        accessKeyId: config.requireSecret("copyAccessKeyId"),
        secretAccessKey: config.requireSecret("copySecretAccessKey"),
      },
      ...given("prefix", prefix),
      ...given("every", config.get("copyEvery")),
    },
  };
}

/** An optional argument: left out when the configuration has no word for it. */
function given<K extends string, V extends string | number>(
  key: K,
  value: V | undefined,
): { [P in K]?: V } {
  return value ? ({ [key]: value } as { [P in K]: V }) : {};
}
