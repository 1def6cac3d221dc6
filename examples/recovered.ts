// The program of aws.ts after its stack was lost: it takes the bucket that is there, and knows the backups in it.
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
  // S3_BUCKET and S3_PREFIX of the block in deploy.yml. Both stay from now on.
  bucket: new AwsBackupBucket("shop-backups", {
    retention: Retention.days(30),
    import: "shop-backups-4f2a",
    prefix: "shop/production",
  }),
  prefix: "shop/production",
  signing: { keys: config.requireSecret("signingKeys") },
  schedule: Schedule.daily("03:15"),
  encryption: Encryption.recipient(config.require("ageRecipient")),
});

export const outputs = backup.outputs;
