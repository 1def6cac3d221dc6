import * as pulumi from "@pulumi/pulumi";
import { checkRecipients } from "../components/backup/encryption.ts";
import {
  type AgentBuild,
  type CopyArgs,
  type Driver,
  Encryption,
  PostgresBackup,
  type PostgresBackupArgs,
  Problem,
  type SslMode,
  type WebhookFormat,
} from "../components/index.ts";
import { nameSettings } from "../components/pulumi/settingNames.ts";
import {
  bucketIn,
  bucketWords,
  chooseBucket,
  type Given,
  keysIn,
  pointInTimeIn,
} from "./bucket.ts";
import { given, key, SETTINGS, type Setting } from "./settings.ts";

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
    // Those of a bucket at Scaleway are made together with it.
    ...(config.getObject("scalewayBucket") === undefined && { keys: keysIn(config) }),
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
    firstBackup: config.getBoolean("firstBackup") ?? true,
    dumpOptions: (config.get("dumpOptions") ?? "").split(/\s+/).filter(Boolean),
    ...beforeDeployOf(config),
    ...drillOf(config),
    ...pullOf(config),
    ...pointInTimeIn(config),
    notices: {
      ...(pingUrl && { pingUrl }),
      ...(webhookUrl && { webhookUrl }),
      ...given("webhookFormat", config.get<WebhookFormat>("webhookFormat")),
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

function drillOf(config: pulumi.Config): Pick<PostgresBackupArgs, "drill"> {
  const drill = {
    ...given("rto", config.get("drillRto")),
    ...given("every", config.get("drillEvery")),
    ...given("checks", config.get("drillChecks")),
  };
  return Object.keys(drill).length > 0 ? { drill } : {};
}

function pullOf(config: pulumi.Config): Pick<PostgresBackupArgs, "pull"> {
  const mask = config.get("pullMask") ?? "";
  return mask === "" ? {} : { pull: { mask } };
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
