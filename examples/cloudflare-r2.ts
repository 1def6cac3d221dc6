// A bucket made at Cloudflare R2. It has no versions: add a bucket lock rule in the dashboard.
import { Config } from "@pulumi/pulumi";
import { PostgresBackup, Retention, S3CompatibleBucket, Schedule } from "kamal-postgres-backup";

const config = new Config();

const bucket = new S3CompatibleBucket("shop-backups", {
  name: "shop-backups",
  endpoint: "https://0123456789abcdef0123456789abcdef.r2.cloudflarestorage.com",
  region: "auto",
  retention: Retention.days(30),
  // May make and set up the bucket. It never reaches the host.
  administrator: {
    accessKeyId: config.require("administratorKeyId"),
    secretAccessKey: config.requireSecret("administratorSecretKey"),
  },
  // The container's key. The secret is the SHA-256 of the API token's value.
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
