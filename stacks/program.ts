import * as pulumi from "@pulumi/pulumi";
import {
  AwsBackupBucket,
  type BackupBucket,
  type ExistingBucket,
  type KeyAccess,
  PostgresBackup,
  Retention,
} from "../components/index.ts";

/**
 * Declares the backup that the stack's configuration describes. The settings and what they mean stand in `Pulumi.yaml`;
 * `pulumi up` runs this through `index.ts`, the tests run it as an inline program.
 */
export function declareBackup(): PostgresBackup {
  const config = new pulumi.Config("kamal-postgres-backup");
  const name = config.get("name") ?? "backup";
  const databasePassword = config.getSecret("databasePassword");
  const sshPrivateKey = config.getSecret("sshPrivateKey");
  const hostKeys = config.getObject<Record<string, string>>("hostKeys");

  return new PostgresBackup(name, {
    kamal: {
      config: config.require("kamalConfig"),
      ...given("destination", config.get("destination")),
      ...given("secretsFile", config.get("secretsFile")),
    },
    ...given("database", config.get("database")),
    bucket: chooseBucket(name, config),
    schedule: config.get("schedule") ?? "15 3 * * *",
    keys: {
      access:
        config.get<KeyAccess>("keyAccess", { allowedValues: ["restorable", "append-only"] }) ??
        "restorable",
      ...given("rotateAfter", config.get("rotateAfter")),
    },
    ...(databasePassword && { postgres: { password: databasePassword } }),
    ssh: {
      ...(hostKeys && { hostKeys }),
      ...(sshPrivateKey && { privateKey: sshPrivateKey }),
    },
    ...given("baseImage", config.get("baseImage")),
  });
}

/** A bucket of the user's if the configuration names one, else one on AWS. */
function chooseBucket(name: string, config: pulumi.Config): BackupBucket {
  const existing =
    config.getObject<Pick<ExistingBucket, "name" | "endpoint" | "region" | "allowInsecure">>(
      "existingBucket",
    );
  if (existing) {
    return {
      ...existing,
      accessKeyId: config.requireSecret("accessKeyId"),
      secretAccessKey: config.requireSecret("secretAccessKey"),
    } as ExistingBucket;
  }
  return new AwsBackupBucket(`${name}-backups`, {
    retention: Retention.days(config.getNumber("retentionDays") ?? 30),
    forceDestroy: config.getBoolean("forceDestroy") ?? false,
    ...given("endpoint", config.get("s3Endpoint")),
    allowInsecure: config.getBoolean("s3AllowInsecure") ?? false,
  });
}

/** An optional argument: left out when the configuration has no word for it. */
function given<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  return value ? ({ [key]: value } as { [P in K]: string }) : {};
}
