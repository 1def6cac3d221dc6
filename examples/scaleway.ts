// Bucket and key made at Scaleway. Needs `npm install @pulumiverse/scaleway` and a project for the backups alone.
import { Config } from "@pulumi/pulumi";
import { PostgresBackup, Retention, Schedule } from "kamal-postgres-backup";
import { ScalewayBackupBucket } from "kamal-postgres-backup/scaleway";

const config = new Config();

const bucket = new ScalewayBackupBucket("shop-backups", {
  name: "shop-backups",
  region: "fr-par",
  projectId: config.require("backupProject"),
  // Whoever runs Pulumi must be here: the policy shuts out everybody else.
  administrators: [`application_id:${config.require("deployer")}`],
  prefix: "shop",
  retention: Retention.days(30),
});

const backup = new PostgresBackup("shop", {
  kamal: { config: "../config/deploy.yml" },
  database: "shop_production",
  prefix: "shop",
  bucket,
  schedule: Schedule.daily("03:15"),
});

export const outputs = backup.outputs;
