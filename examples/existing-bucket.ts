// A bucket that exists, at any S3-compatible service. Nothing in it is changed.
import { Config } from "@pulumi/pulumi";
import { PostgresBackup, Retention, Schedule } from "kamal-postgres-backup";

const config = new Config();

const backup = new PostgresBackup("shop", {
  kamal: { config: "../config/deploy.yml" },
  database: "shop_production",
  bucket: {
    name: "shop-backups",
    endpoint: "https://fra1.digitaloceanspaces.com",
    region: "fra1",
    accessKeyId: config.require("accessKeyId"),
    secretAccessKey: config.requireSecret("secretAccessKey"),
    // What the bucket's own expiry rule is.
    retention: Retention.days(30),
  },
  schedule: Schedule.daily("03:15"),
});

export const outputs = backup.outputs;
