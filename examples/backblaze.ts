// A bucket made at Backblaze B2, which always keeps old versions.
import { Config } from "@pulumi/pulumi";
import { PostgresBackup, Retention, S3CompatibleBucket, Schedule } from "kamal-postgres-backup";

const config = new Config();

const bucket = new S3CompatibleBucket("shop-backups", {
  name: "shop-backups",
  endpoint: "https://s3.eu-central-003.backblazeb2.com",
  region: "eu-central-003",
  retention: Retention.days(30),
  // May make and set up the bucket. It never reaches the host.
  administrator: {
    accessKeyId: config.require("administratorKeyId"),
    secretAccessKey: config.requireSecret("administratorSecretKey"),
  },
  // The container's key, made without the capability deleteFiles.
  writer: {
    accessKeyId: config.require("accessKeyId"),
    secretAccessKey: config.requireSecret("secretAccessKey"),
  },
});

const backup = new PostgresBackup("shop", {
  kamal: { config: "../config/deploy.yml" },
  database: "shop_production",
  bucket,
  schedule: Schedule.daily("03:15"),
});

export const outputs = backup.outputs;
