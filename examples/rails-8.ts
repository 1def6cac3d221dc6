// The four databases of Rails 8. The first backups of each week and month are kept longer.
import { AwsBackupBucket, PostgresBackup, Retention, Schedule } from "kamal-postgres-backup";

const backup = new PostgresBackup("shop", {
  kamal: { config: "../config/deploy.yml" },
  database: [
    "shop_production",
    "shop_production_cache",
    "shop_production_queue",
    "shop_production_cable",
  ],
  prefix: "shop",
  bucket: new AwsBackupBucket("shop-backups", {
    prefix: "shop",
    retention: Retention.tiers({ daily: 7, weekly: 35, monthly: 365 }),
  }),
  schedule: Schedule.daily("03:15"),
});

export const outputs = backup.outputs;
