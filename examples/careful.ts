// A locked bucket, each backup read back, deploys that wait for one, and notices.
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
  kamal: { config: "../config/deploy.yml" },
  database: "shop_production",
  bucket: new AwsBackupBucket("shop-backups", {
    retention: Retention.days(30),
    lock: { mode: "governance", days: 14 },
  }),
  schedule: Schedule.daily("03:15"),
  encryption: Encryption.passphrase(config.requireSecret("passphrase")),
  // Change it to any other text to rotate the keys.
  keys: { rotateAfter: "2026-12" },
  verify: true,
  beforeDeploy: { maxAgeMinutes: 15 },
  notices: { pingUrl: config.requireSecret("pingUrl") },
});

export const { outputs, signingKeys } = backup;
