// A database on each of two hosts. Each has its own accessory, folder and name; the commands take --name.
import { AwsBackupBucket, PostgresBackup, Retention, Schedule } from "kamal-postgres-backup";

const bucket = new AwsBackupBucket("shop-backups", { retention: Retention.days(30) });

const backups = { paris: "192.0.2.10", sydney: "198.51.100.7" };

export const outputs = Object.entries(backups).map(([name, host]) => {
  const backup = new PostgresBackup(name, {
    kamal: { config: "../config/deploy.yml", accessory: `${name}_backup` },
    database: "shop_production",
    hosts: [host],
    prefix: `shop/${name}`,
    bucket,
    schedule: Schedule.daily("03:15"),
  });
  return backup.outputs;
});
