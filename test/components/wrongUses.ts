/**
 * Wrong uses of the public API, each of which the compiler must refuse: `tsc` fails on a `@ts-expect-error` that expects
 * in vain. Never run.
 */
import {
  AgentImage,
  AwsBackupBucket,
  BackupKeys,
  type ExistingBucket,
  KamalAccessory,
  PostgresBackup,
  type PostgresBackupArgs,
  Retention,
  S3CompatibleBucket,
  Schedule,
} from "../../components/index.ts";
import { ScalewayBackupBucket } from "../../components/scaleway.ts";

const right: PostgresBackupArgs = {
  kamal: { config: "config/deploy.yml" },
  bucket: new AwsBackupBucket("shop-backups", { retention: Retention.days(30) }),
  schedule: Schedule.daily("03:15"),
};
const elsewhere: ExistingBucket = {
  name: "shop-backups",
  endpoint: "https://s3.fr-par.scw.cloud",
  region: "fr-par",
  accessKeyId: "SCWEXAMPLE",
  secretAccessKey: "example",
};

export function wrongBackups(): void {
  // @ts-expect-error a backup needs its arguments
  new PostgresBackup("shop");
  // @ts-expect-error a backup needs a bucket
  new PostgresBackup("shop", { kamal: right.kamal, schedule: right.schedule });
  // @ts-expect-error a backup needs a schedule
  new PostgresBackup("shop", { kamal: right.kamal, bucket: right.bucket });
  // @ts-expect-error a backup belongs to an application
  new PostgresBackup("shop", { bucket: right.bucket, schedule: right.schedule });
  // @ts-expect-error a bucket is more than its name
  new PostgresBackup("shop", { ...right, bucket: "shop-backups" });
  // @ts-expect-error a schedule is no number of hours
  new PostgresBackup("shop", { ...right, schedule: 6 });
  // @ts-expect-error nor a date
  new PostgresBackup("shop", { ...right, schedule: new Date() });
  // @ts-expect-error databases by their exact names
  new PostgresBackup("shop", { ...right, database: [1, 2] });
  // @ts-expect-error days by their name, and how many stay
  new PostgresBackup("shop", { ...right, keep: 30 });
  // @ts-expect-error each option of pg_dump a word
  new PostgresBackup("shop", { ...right, dumpOptions: "--exclude-table=logs" });
  // @ts-expect-error memory is a size with its unit
  new PostgresBackup("shop", { ...right, memory: 256 });
  // @ts-expect-error a volume or a folder
  new PostgresBackup("shop", { ...right, scratch: true });
  // @ts-expect-error retention belongs to the bucket
  new PostgresBackup("shop", { ...right, retention: Retention.days(30) });
  // @ts-expect-error deploy.yml by its path
  new PostgresBackup("shop", { ...right, kamal: {} });
  // @ts-expect-error a slip in an argument's name
  new PostgresBackup("shop", { ...right, databse: "shop_production" });
  // @ts-expect-error built in one of two places
  new PostgresBackup("shop", { ...right, build: "here" });
  // @ts-expect-error only what a key may do
  new PostgresBackup("shop", { ...right, keys: { access: "read-only" } });
  // @ts-expect-error a copy needs a bucket
  new PostgresBackup("shop", { ...right, copy: { every: "@daily" } });
  // @ts-expect-error a copy is due by a schedule, not after a number of days
  new PostgresBackup("shop", { ...right, copy: { bucket: elsewhere, every: 1 } });
  // @ts-expect-error a word or a number tells one generation of keys from the next
  new PostgresBackup("shop", { ...right, keys: { rotateAfter: new Date() } });
  // @ts-expect-error the size is a number of bytes
  new PostgresBackup("shop", { ...right, backupBytes: "400 MB" });
  // @ts-expect-error a price is a number of US dollars
  new PostgresBackup("shop", { ...right, usdPerGbMonth: "0.02 USD" });
  // @ts-expect-error host keys by the host's name
  new PostgresBackup("shop", { ...right, ssh: { hostKeys: ["ssh-ed25519 AAAA"] } });
  // @ts-expect-error how far back, by its name
  new PostgresBackup("shop", { ...right, pointInTime: "14d" });
  // @ts-expect-error the window has no default
  new PostgresBackup("shop", { ...right, pointInTime: { rpo: "10s" } });
  // @ts-expect-error only children can be transformed
  new PostgresBackup("shop", { ...right, transform: { bucket: {} } });
  // @ts-expect-error a transform changes arguments that the child has
  new PostgresBackup("shop", { ...right, transform: { keys: { user: { nmae: "x" } } } });
}

export function wrongBuckets(): ExistingBucket[] {
  const days = Retention.days(30);
  // @ts-expect-error a bucket made here needs a retention
  new AwsBackupBucket("shop-backups", {});
  // @ts-expect-error a retention is more than a number
  new AwsBackupBucket("shop-backups", { retention: 30 });
  // @ts-expect-error made by its factory, which checks the number
  new AwsBackupBucket("shop-backups", { retention: new Retention(30) });
  // @ts-expect-error tiers are part of the retention
  new AwsBackupBucket("shop-backups", { retention: days, tiers: { weekly: 35 } });
  // @ts-expect-error the certificate of AWS is a public one
  new AwsBackupBucket("shop-backups", { retention: days, caFile: "/etc/ssl/own.pem" });
  // @ts-expect-error rules know no rate of uploads
  new AwsBackupBucket("b", { retention: days, pointInTime: { keep: "14d", rpo: "10s" } });
  // @ts-expect-error one folder
  new AwsBackupBucket("shop-backups", { retention: days, prefixes: ["shop"] });
  // @ts-expect-error a bucket elsewhere needs an administrator's keys
  new S3CompatibleBucket("b", { name: "b", endpoint: "e", region: "r", retention: days });
  const administrator = { accessKeyId: "SCWEXAMPLE", secretAccessKey: "example" };
  const there = { name: "b", endpoint: "e", region: "r", retention: days, administrator };
  // @ts-expect-error tags are words by their key
  new S3CompatibleBucket("b", { ...there, tags: ["team"] });
  // @ts-expect-error a transform does not reach the connection, which carries the administrator's key
  new S3CompatibleBucket("b", { ...there, transform: { bucket: { connection: {} } } });
  // @ts-expect-error the object that a factory makes cannot be made by hand
  const [byHand]: Retention[] = [{ days: 30 }];
  const { secretAccessKey: _secret, ...withoutSecret } = elsewhere;
  const { region: _region, ...withoutRegion } = elsewhere;
  return [
    // @ts-expect-error both halves of the key
    withoutSecret,
    // @ts-expect-error a region, also where it is always the same one
    withoutRegion,
    // @ts-expect-error a prefix is given to the backup
    { ...elsewhere, prefix: "shop" },
    // @ts-expect-error a retention is made by its factory, which checks the number
    { ...elsewhere, retention: { days: 30 } },
    // @ts-expect-error decided when the program is written
    { ...elsewhere, allowInsecure: "yes" },
    ...(byHand ? [] : [elsewhere]),
  ];
}

export function wrongScalewayBuckets(): PostgresBackup {
  const args = {
    name: "shop-backups",
    region: "fr-par",
    projectId: "11111111-1111-1111-1111-111111111111",
    administrators: ["user_id:11111111-1111-1111-1111-111111111111"],
    retention: Retention.days(30),
  };
  const { administrators: _all, ...lockedOut } = args;
  // @ts-expect-error whoever runs Pulumi must keep its rights
  new ScalewayBackupBucket("b", lockedOut);
  // @ts-expect-error one principal is a list of one
  new ScalewayBackupBucket("b", { ...args, administrators: "user_id:1" });
  // @ts-expect-error its address follows from the region
  new ScalewayBackupBucket("b", { ...args, endpoint: "https://s3.fr-par.scw.cloud" });
  // @ts-expect-error only what a key may do
  new ScalewayBackupBucket("b", { ...args, keys: { access: "read-only" } });
  // @ts-expect-error a transform changes arguments that the child has
  new ScalewayBackupBucket("b", { ...args, transform: { bucket: { versionning: {} } } });
  return new PostgresBackup("shop", { ...right, bucket: new ScalewayBackupBucket("b", args) });
}

export function wrongValues(): void {
  // @ts-expect-error a time of day has a colon in it: a text
  Schedule.daily(315);
  // @ts-expect-error days have short English names
  Schedule.weekly("monday");
  // @ts-expect-error a duration has a unit
  Schedule.every(6);
  // @ts-expect-error made by a factory
  new Schedule("15 3 * * *", 24);
  // @ts-expect-error days are a number
  Retention.days("30");
}

export function wrongParts(): void {
  // @ts-expect-error the folder that the keys are for
  new BackupKeys("keys", { bucket: "shop-backups" });
  // @ts-expect-error an image is built for one major version
  new AgentImage("agent", { repository: "registry.example.com/db-backup" });
  // @ts-expect-error a login is whole
  new AgentImage("agent", { repository: "x", postgresMajor: 17, registry: { server: "x" } });
  // @ts-expect-error a major version is a number
  new AgentImage("agent", { repository: "x", postgresMajor: "17" });
  // @ts-expect-error an accessory cannot be made from its name alone
  new KamalAccessory("db_backup", { key: "db_backup" });
  const backup = new PostgresBackup("shop", right);
  // @ts-expect-error children are there to be read
  backup.accessory = undefined;
  // @ts-expect-error an output is no plain value
  const id: string = backup.writerKeyId;
  // @ts-expect-error a bucket with keys of its own has no reader's key here
  backup.readerKeyId.apply((value) => value + id);
}
