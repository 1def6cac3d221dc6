import { PASSPHRASE } from "../components/backup/encryption.ts";

/** A key of a stack's configuration, without its namespace `kamal-postgres-backup:`. */
export interface Setting {
  readonly name: string;
  /**
   * Objects and secrets are not declared in `Pulumi.yaml`: what is declared needs a default there, or a value in each stack.
   */
  readonly type: "string" | "integer" | "boolean" | "object" | "secret" | "secret object";
  /** Absent: it must be given, or, for an object or a secret, it may be left out. */
  readonly default?: string | number | boolean;
  /** What it is, and what its default means. */
  readonly description: string;
  /**
   * Paths of the arguments of `PostgresBackup` that it becomes; messages about one of them name the setting. Absent: the
   * program makes something else of it.
   */
  readonly argument?: string | readonly string[];
}

/** A key of the configuration, as a file of a stack and `pulumi config` have it. */
export const key = (name: string) => `kamal-postgres-backup:${name}`;

/** An optional argument: left out when the configuration has no word for it. */
export function given<K extends string, V extends string | number>(
  name: K,
  value: V | undefined,
): { [P in K]?: V } {
  return value ? ({ [name]: value } as { [P in K]: V }) : {};
}

/**
 * Every setting of a stack. `Pulumi.yaml`, `docs/settings.md` and the names in messages are made from it; the first two by
 * `scripts/run node --test --test-update-snapshots test/stacks/settings.test.ts`.
 */
export const SETTINGS = [
  {
    name: "name",
    type: "string",
    default: "backup",
    description:
      "Name of the backup, in its markers in deploy.yml, in the names of its resources and for --name of the commands; another one for a second backup beside the same deploy.yml. A change of it is another backup",
  },
  {
    name: "kamalConfig",
    type: "string",
    argument: "kamal.config",
    description: "Path of the application's deploy.yml, from the folder stacks/",
  },
  {
    name: "driver",
    type: "string",
    default: "ssh",
    argument: "driver",
    description:
      "Who boots the container. ssh, `pulumi up` itself; kamal, `pulumi up` by the application's own Kamal; render, nobody, `pulumi up` writes the files and you run Kamal",
  },
  {
    name: "firstBackup",
    type: "boolean",
    default: true,
    argument: "firstBackup",
    description:
      "Whether `pulumi up` has a new container back up at once where the bucket has no backup yet, and waits until it was read back",
  },
  {
    name: "beforeDeploy",
    type: "boolean",
    default: false,
    argument: "beforeDeploy",
    description:
      "Whether each `kamal deploy` waits for a backup and does not go on without one, by Kamal's hook pre-deploy",
  },
  {
    name: "beforeDeployMaxAgeMinutes",
    type: "integer",
    default: 0,
    argument: "beforeDeploy.maxAgeMinutes",
    description:
      "With beforeDeploy, minutes that a backup which was read back may be old to do for a deploy. 0, each deploy takes a new one",
  },
  {
    name: "replacesContainer",
    type: "string",
    default: "",
    argument: "replacesContainer",
    description:
      "Container of postgres-backup-s3 or a relative that goes from the host once the new one is fit, e.g. shop-s3_backup; empty for none",
  },
  {
    name: "destination",
    type: "string",
    default: "",
    argument: "kamal.destination",
    description: "Kamal's destination, as in `kamal -d production`; empty for none",
  },
  {
    name: "secretsFile",
    type: "string",
    default: "",
    argument: "kamal.secretsFile",
    description:
      "File for the container's secrets, one that Kamal reads; empty for .kamal/secrets, with a destination .kamal/secrets.DESTINATION",
  },
  {
    name: "database",
    type: "string",
    default: "",
    argument: "database",
    description:
      "Exact name of the database, or several with commas between them, or all; empty for the POSTGRES_DB of the database accessory",
  },
  {
    name: "excludeDatabases",
    type: "string",
    default: "",
    argument: "excludeDatabases",
    description: "With database all, exact names of those left out, with commas between them",
  },
  {
    name: "databaseSslMode",
    type: "string",
    default: "",
    argument: "postgres.sslMode",
    description:
      "Whether the connection to PostgreSQL is encrypted, in libpq's words, disable, allow, prefer, require, verify-ca or verify-full; empty for prefer, which encrypts where the server offers it",
  },
  {
    name: "databaseSslRootCertificate",
    type: "string",
    default: "",
    argument: "postgres.sslRootCertificate",
    description:
      "PEM file on the database's host with the authority that has signed the server's certificate, or system for the public authorities; verify-ca and verify-full need it",
  },
  {
    name: "service",
    type: "string",
    default: "",
    argument: "kamal.service",
    description:
      "Name of the Kamal application, where deploy.yml leaves it to Ruby; empty for the service of deploy.yml",
  },
  {
    name: "runSecretCommands",
    type: "boolean",
    default: false,
    argument: "kamal.runSecretCommands",
    description:
      "Whether the commands in Kamal's secrets, `$(...)`, are run where Pulumi runs, as Kamal runs them",
  },
  {
    name: "databaseAccessory",
    type: "string",
    default: "",
    argument: "kamal.databaseAccessory",
    description:
      "Key of the database under accessories in deploy.yml; empty for the one that runs PostgreSQL",
  },
  {
    name: "secrets",
    type: "string",
    default: "literal",
    argument: "kamal.secrets",
    description:
      "What stands in Kamal's secrets file. literal, the secrets themselves, in a file out of git; outputs, look-ups of this stack's outputs, which Kamal runs and which may be in git",
  },
  {
    name: "accessory",
    type: "string",
    default: "",
    argument: "kamal.accessory",
    description: "Key that the backup gets under accessories in deploy.yml; empty for db_backup",
  },
  {
    name: "hosts",
    type: "string",
    default: "",
    argument: "hosts",
    description:
      "The host that runs the container, for a database that is no accessory of the application, or whose host deploy.yml leaves to Ruby; empty for that of the database accessory",
  },
  {
    name: "databaseHost",
    type: "string",
    default: "",
    argument: "postgres.host",
    description:
      "Name of the database's server as the container reaches it, 127.0.0.1 for one on the host itself; empty for the database accessory",
  },
  {
    name: "databasePort",
    type: "integer",
    default: 0,
    argument: "postgres.port",
    description: "Port of the database's server. 0, what the database accessory says, else 5432",
  },
  {
    name: "databaseUser",
    type: "string",
    default: "",
    argument: "postgres.user",
    description:
      "Role that backs up and restores; empty for the POSTGRES_USER of the database accessory, else postgres",
  },
  {
    name: "databaseMajor",
    type: "integer",
    default: 0,
    argument: "postgres.major",
    description:
      "Major version of the database's server, 14 to 18. 0, what the image of the database accessory says",
  },
  {
    name: "databaseNetwork",
    type: "string",
    default: "",
    argument: "postgres.network",
    description:
      "Docker network on the host on which the container finds the server; empty for that of the database accessory, else kamal",
  },
  {
    name: "schedule",
    type: "string",
    default: "15 3 * * *",
    argument: "schedule",
    description: "When to back up, a cron expression in UTC, `@daily` or `@every 6h`",
  },
  {
    name: "keyAccess",
    type: "string",
    default: "restorable",
    argument: ["keys.access", "copy.keys.access"],
    description:
      "What the container's key may do with backups. restorable, add, list and read; append-only, add alone",
  },
  {
    name: "rotateAfter",
    type: "string",
    default: "",
    argument: "keys.rotateAfter",
    description:
      "Another word than last time, e.g. 2026-12, makes new keys, also the one that signs backups; only for a bucket made here",
  },
  {
    name: "signingRotateAfter",
    type: "string",
    default: "",
    argument: "signing.rotateAfter",
    description:
      "Another word than last time makes a new key that signs backups, whatever the bucket; empty for the word of rotateAfter",
  },
  {
    name: "retentionDays",
    type: "integer",
    default: 30,
    description: "Days until the bucket expires a backup; only for a bucket made here",
  },
  {
    name: "forceDestroy",
    type: "boolean",
    default: false,
    description: "Whether `pulumi destroy` deletes a bucket made here with every backup in it",
  },
  {
    name: "s3Endpoint",
    type: "string",
    default: "",
    description:
      "Address of a service that speaks the whole API of AWS, S3 and IAM, for a bucket made here; empty for AWS itself",
  },
  {
    name: "s3AllowInsecure",
    type: "boolean",
    default: false,
    description: "Whether the s3Endpoint may be plain http",
  },
  {
    name: "noncurrentDays",
    type: "integer",
    default: 0,
    description:
      "Days for which an overwritten or deleted object of a bucket made here can be brought back. 0, 14",
  },
  {
    name: "importBucket",
    type: "string",
    default: "",
    description:
      "Name of a bucket on AWS that exists and is taken into the stack, with the rules and policy declared here; keep it afterwards. Empty for a new one",
  },
  {
    name: "kmsKey",
    type: "string",
    default: "",
    description:
      "ARN of the KMS key that encrypts the backups in a bucket on AWS; empty for S3's own keys",
  },
  {
    name: "denyOverwrite",
    type: "boolean",
    default: true,
    description: "Whether the policy of a bucket on AWS refuses an upload to a key that exists",
  },
  {
    name: "prefix",
    type: "string",
    default: "",
    argument: "prefix",
    description:
      'Folder of the backups in the bucket; empty for the Kamal service and destination. Needed for a bucket that is taken over, and with the object "retentionTiers"',
  },
  {
    name: "copyEvery",
    type: "string",
    default: "",
    argument: "copy.every",
    description:
      'How often a backup is copied into the second bucket, e.g. `@daily`; empty for every backup. Needs the object "copyBucket" and the secrets "copyAccessKeyId" and "copySecretAccessKey"',
  },
  {
    name: "image",
    type: "string",
    default: "",
    argument: "image",
    description:
      "A published image of the agent by tag or digest, e.g. ghcr.io/you/db-backup:17, instead of one that is built; a tag is pinned at each `pulumi up`",
  },
  {
    name: "build",
    type: "string",
    default: "registry",
    argument: "build",
    description:
      "Where the image is built. registry, here, and pushed to Kamal's registry; host, on each host, for those without one",
  },
  {
    name: "imageRepository",
    type: "string",
    default: "",
    argument: "repository",
    description:
      "Repository that the built image is pushed to, e.g. ghcr.io/you/shop-db-backup; empty for one beside the application's own image",
  },
  {
    name: "platform",
    type: "string",
    default: "",
    argument: "platform",
    description:
      "Processor that the image is built for, e.g. linux/arm64; empty for builder.arch of deploy.yml, else that of the host",
  },
  {
    name: "baseImage",
    type: "string",
    default: "",
    argument: "baseImage",
    description:
      "Image that the agent's image is built on; empty for Debian's node image, see agent/image/Dockerfile",
  },
  {
    name: "registryServer",
    type: "string",
    default: "",
    argument: "registry.server",
    description:
      "Registry that the built image is pushed to, e.g. ghcr.io; empty for that of deploy.yml, else Docker Hub",
  },
  {
    name: "registryUsername",
    type: "string",
    default: "",
    argument: "registry.username",
    description:
      'Who logs in to the registry; empty for the username in deploy.yml. The password, where it is not in Kamal\'s secrets, is the secret "registryPassword"',
  },
  {
    name: "sshUser",
    type: "string",
    default: "",
    argument: "ssh.user",
    description: "Who logs in on the host; empty for ssh.user of deploy.yml, else root",
  },
  {
    name: "sshPort",
    type: "integer",
    default: 0,
    argument: "ssh.port",
    description: "Port of the host's SSH server. 0, ssh.port of deploy.yml, else 22",
  },
  {
    name: "sshProxy",
    type: "string",
    default: "",
    argument: "ssh.proxy",
    description:
      'Bastion in front of the host, e.g. jump@bastion.example.com:2200, several with commas between them in the order in which they are passed; empty for ssh.proxy of deploy.yml, else none. A bastion with a private key of its own needs the object "sshProxyKeys" by its name, as a secret',
  },
  {
    name: "backupBytes",
    type: "integer",
    default: 0,
    argument: "backupBytes",
    description:
      "Size of one stored backup, about a fifth of the database, for the preview's estimate of space, cost and memory. 0, not known",
  },
  {
    name: "usdPerGbMonth",
    type: "string",
    default: "",
    argument: "usdPerGbMonth",
    description:
      "What the bucket's provider charges, US dollars for a GB in a month, e.g. 0.023, for the preview's estimate of cost; empty for the package's own table",
  },
  {
    name: "memory",
    type: "string",
    default: "",
    argument: "memory",
    description:
      "Memory limit of the container; empty for 256m, with pointInTimeKeep 384m; a row that holds 200 MiB of text needs 640m, and so does a database of 2 TB, or 200 GB at Scaleway",
  },
  {
    name: "scratch",
    type: "string",
    default: "",
    argument: "scratch",
    description:
      "Named volume, or absolute folder of the host that belongs to 10001, in which `restore --scratch /scratch` unpacks; empty for none",
  },
  {
    name: "jitterSeconds",
    type: "integer",
    default: 0,
    argument: "jitterSeconds",
    description:
      "Longest random delay of a scheduled backup, seconds, so that many hosts do not start at once",
  },
  {
    name: "compressionLevel",
    type: "integer",
    default: 1,
    argument: "compressionLevel",
    description: "Level of zstd, 1 (fastest) to 3 (smallest)",
  },
  {
    name: "verify",
    type: "boolean",
    default: false,
    argument: "verify",
    description: "Whether each backup is read back to its end after it was stored",
  },
  {
    name: "keepDays",
    type: "integer",
    default: 0,
    argument: ["keep.days", "keep"],
    description:
      "Has the container delete backups older than so many days; only with keys given here that may delete. 0, the bucket's own rules expire them",
  },
  {
    name: "keepAtLeast",
    type: "integer",
    default: 7,
    argument: "keep.atLeast",
    description: "With keepDays, so many of the newest always stay",
  },
  {
    name: "maxShrinkPercent",
    type: "integer",
    default: 50,
    argument: "maxShrinkPercent",
    description:
      "A backup that shrank by more than this share since the last is suspect and fails its run, 1 to 100",
  },
  {
    name: "transientTables",
    type: "string",
    default: "",
    argument: "transientTables",
    description:
      "Tables that come and go or are emptied by design, so that a missing one makes no backup suspect, with commas between them, e.g. staging.*,import_*; empty for none",
  },
  {
    name: "maxRunHours",
    type: "integer",
    default: 0,
    argument: "maxRunHours",
    description:
      "Longest time of one run, in hours, after which it is stopped. 0, the longer of 6 hours and the schedule's interval",
  },
  {
    name: "globals",
    type: "boolean",
    default: true,
    argument: "globals",
    description:
      "Whether the server's roles and grants are stored beside each backup, without passwords",
  },
  {
    name: "dumpOptions",
    type: "string",
    default: "",
    argument: "dumpOptions",
    description:
      "More options for pg_dump with blanks between them, e.g. --exclude-table-data=sessions",
  },
  {
    name: "webhookFormat",
    type: "string",
    default: "",
    argument: "notices.webhookFormat",
    description:
      "What webhookUrl gets: slack (also for Mattermost and Discord), teams, or json (default: by the address)",
  },
  {
    name: "metricsFile",
    type: "string",
    default: "",
    argument: "notices.metricsFile",
    description:
      "A .prom file on the host that is brought up to date after each backup, for a Prometheus node exporter",
  },
  {
    name: "drillRto",
    type: "string",
    default: "",
    argument: "drill.rto",
    description: "Longest time that a restore may take, e.g. 10m; a drill that takes longer fails",
  },
  {
    name: "drillEvery",
    type: "string",
    default: "",
    argument: "drill.every",
    description:
      "How old the newest drill that has passed may be, e.g. 7d; drift and status fail when it is older",
  },
  {
    name: "drillChecks",
    type: "string",
    default: "",
    argument: "drill.checks",
    description:
      "File with SQL queries for drills, each of which returns no row when all is well, from the folder of Pulumi.yaml",
  },
  {
    name: "pullMask",
    type: "string",
    default: "",
    argument: "pull.mask",
    description:
      "File with SQL that masks the data of pull and clone before anybody can connect, from the folder of Pulumi.yaml",
  },
  {
    name: "pointInTimeKeep",
    type: "string",
    default: "",
    argument: ["pointInTime.keep", "pointInTime"],
    description:
      "Days back of which any second can be recovered, e.g. 14d, from base backups and WAL beside the dumps; empty for the moments of the dumps alone",
  },
  {
    name: "pointInTimeBase",
    type: "string",
    default: "",
    argument: "pointInTime.base",
    description:
      "With pointInTimeKeep, when a base backup is taken, a cron expression in UTC; empty for Sundays at 02:00, or the first minute after it at which no backup is due",
  },
  {
    name: "pointInTimeRpo",
    type: "string",
    default: "10s",
    argument: "pointInTime.rpo",
    description:
      "With pointInTimeKeep, longest time for which a write may lie on the host alone, 1s to 1h",
  },
  {
    name: "pointInTimeServerDisk",
    type: "string",
    default: "4GB",
    argument: "pointInTime.serverDisk",
    description:
      "With pointInTimeKeep, WAL that the server may hold on its disk while the bucket or the agent is away, at most half of what is free",
  },
  {
    name: "ageRecipients",
    type: "string",
    default: "",
    argument: "encryption",
    description:
      'Public keys of age (age1...) with commas between them, any of which opens a backup; empty for no encryption, unless the secret "passphrase" is set; none for no encryption without a notice at preview',
  },
  {
    name: "compatibleBucket",
    type: "object",
    description:
      "A bucket that is made and set up at another service that speaks S3, instead of AWS: its name, endpoint, region, allowInsecure, caFile, and adopt for one that exists; needs administratorKeyId and administratorSecretKey, and for the container accessKeyId and secretAccessKey",
  },
  {
    name: "administratorKeyId",
    type: "secret",
    description: "Key for the compatibleBucket, of whoever may make and set it up",
  },
  {
    name: "administratorSecretKey",
    type: "secret",
    description: "Secret half of it",
  },
  {
    name: "scalewayBucket",
    type: "object",
    description:
      "A bucket that is made at Scaleway together with the container's key, instead of on AWS: its name, region, projectId, and as administrators all who keep every right in it, at least whoever runs Pulumi, [application_id:ID]",
  },
  {
    name: "lock",
    type: "object",
    description:
      "Forbids deleting a backup in a bucket made here for a number of days, { mode: governance, days: 14 }; mode compliance, which nobody can lift, needs acceptCompliance: true",
  },
  {
    name: "transitions",
    type: "object",
    description:
      "Moves older backups in a bucket on AWS to cheaper storage classes, [{ days: 30, storageClass: STANDARD_IA }]",
  },
  {
    name: "tags",
    type: "object",
    description: "Tags of a bucket made here, { team: data }",
  },
  {
    name: "existingBucket",
    type: "object",
    description:
      "A bucket that exists, instead of one made here, with its name, region, endpoint, allowInsecure, caFile, and its own rules as retentionDays or retentionTiers; needs accessKeyId and secretAccessKey",
  },
  {
    name: "accessKeyId",
    type: "secret",
    description: "Key for the existingBucket or the compatibleBucket, for the container",
  },
  {
    name: "secretAccessKey",
    type: "secret",
    description: "Secret half of it",
  },
  {
    name: "retentionTiers",
    type: "object",
    description:
      "Days until the bucket expires a backup of each tier, { daily: 7, weekly: 35, monthly: 365 }, instead of retentionDays; needs the prefix",
  },
  {
    name: "copyBucket",
    type: "object",
    argument: ["copy", "copy.bucket"],
    description:
      "A second bucket that exists and gets the same backups, as existingBucket is given, with a prefix of its own",
  },
  {
    name: "copyAccessKeyId",
    type: "secret",
    argument: "copy.bucket.accessKeyId",
    description: "Key for the copyBucket, for the container",
  },
  {
    name: "copySecretAccessKey",
    type: "secret",
    argument: "copy.bucket.secretAccessKey",
    description: "Secret half of it",
  },
  {
    name: "hostKeys",
    type: "object",
    argument: "ssh.hostKeys",
    description:
      'Public key of each server by host name, bastions too, { "192.0.2.10": "ssh-ed25519 AAAA..." }, where ~/.ssh/known_hosts has none, as in CI',
  },
  {
    name: "sshPrivateKey",
    type: "secret",
    argument: "ssh.privateKey",
    description:
      "Private key in OpenSSH's format without a passphrase, where ssh.keys of deploy.yml, ~/.ssh and an agent have none, as in CI",
  },
  {
    name: "sshProxyKeys",
    type: "secret object",
    argument: "ssh.proxyKeys",
    description: "Private key of each bastion that takes another than the host, by its name",
  },
  {
    name: "databasePassword",
    type: "secret",
    argument: "postgres.password",
    description:
      "The database's password, where Kamal's secrets do not have it in a form that can be read here",
  },
  {
    name: "registryPassword",
    type: "secret",
    argument: "registry.password",
    description:
      "The registry's password, where Kamal's secrets do not have it in a form that can be read here",
  },
  {
    name: "passphrase",
    type: "secret",
    argument: PASSPHRASE,
    description:
      "Encrypts backups by a passphrase, which the container knows, instead of ageRecipients",
  },
  {
    name: "signingKeys",
    type: "secret",
    argument: "signing.keys",
    description:
      "Signing keys of an earlier stack whose state was lost, so that its backups are known",
  },
  {
    name: "pingUrl",
    type: "secret",
    argument: "notices.pingUrl",
    description: "Address that is called after each run, as healthchecks.io has it",
  },
  {
    name: "webhookUrl",
    type: "secret",
    argument: "notices.webhookUrl",
    description:
      "Address of a chat, which gets a message at a failure and at its end, or of a program, which gets a JSON document after each run",
  },
] as const satisfies readonly Setting[];
