// The first backup of each day is also stored at another provider, with keys and an expiry of its own.
import { Config } from "@pulumi/pulumi";
import { AwsBackupBucket, PostgresBackup, Retention } from "kamal-postgres-backup";

const config = new Config();

const backup = new PostgresBackup("shop", {
  kamal: { config: "../config/deploy.yml" },
  database: "shop_production",
  bucket: new AwsBackupBucket("shop-backups", { retention: Retention.days(30) }),
  copy: {
    bucket: {
      name: "shop-copies",
      endpoint: "https://s3.fr-par.scw.cloud",
      region: "fr-par",
      accessKeyId: config.require("copyAccessKeyId"),
      secretAccessKey: config.requireSecret("copySecretAccessKey"),
    },
    every: "@daily",
  },
  schedule: "@every 6h",
});

export const outputs = backup.outputs;
