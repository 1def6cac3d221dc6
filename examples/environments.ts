// One program for several environments. The stack's name is Kamal's destination: production, staging.
import { getStack } from "@pulumi/pulumi";
import { AwsBackupBucket, PostgresBackup, Retention } from "kamal-postgres-backup";

const destination = getStack();
const production = destination === "production";

const backup = new PostgresBackup("shop", {
  kamal: { config: "../config/deploy.yml", destination },
  database: `shop_${destination}`,
  bucket: new AwsBackupBucket("shop-backups", {
    retention: Retention.days(production ? 30 : 7),
  }),
  schedule: production ? "@every 6h" : "@daily",
});

export const outputs = backup.outputs;
