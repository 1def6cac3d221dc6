// One database, with a bucket and keys made on AWS. Its credentials and region come from the environment.
import { Config } from "@pulumi/pulumi";
import {
  AwsBackupBucket,
  Encryption,
  PostgresBackup,
  Retention,
  Schedule,
} from "kamal-postgres-backup";

const config = new Config();

const backup = new PostgresBackup("shop", {
  kamal: { config: "../config/deploy.yml", destination: "production" },
  database: "shop_production",
  bucket: new AwsBackupBucket("shop-backups", { retention: Retention.days(30) }),
  schedule: Schedule.daily("03:15"),
  // The public key that age-keygen prints. Keep the private one away from the host.
  encryption: Encryption.recipient(config.require("ageRecipient")),
});

export const outputs = backup.outputs;
