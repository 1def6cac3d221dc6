// A managed server, reached over TLS. The container runs on a host of the application.
import { Config } from "@pulumi/pulumi";
import { AwsBackupBucket, PostgresBackup, Retention, Schedule } from "kamal-postgres-backup";

const config = new Config();

const backup = new PostgresBackup("shop", {
  kamal: { config: "../config/deploy.yml" },
  hosts: ["192.0.2.10"],
  database: "shop_production",
  postgres: {
    host: "shop.db.example.com",
    port: 25060,
    user: "backup",
    password: config.requireSecret("databasePassword"),
    major: 17,
    sslMode: "verify-full",
    sslRootCertificate: "system",
  },
  bucket: new AwsBackupBucket("shop-backups", { retention: Retention.days(30) }),
  schedule: Schedule.daily("03:15"),
});

export const outputs = backup.outputs;
