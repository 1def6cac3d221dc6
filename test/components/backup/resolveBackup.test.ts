import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { PostgresBackupArgs } from "../../../components/backup/postgresBackupArgs.ts";
import { type ResolvedBackup, resolveBackup } from "../../../components/backup/resolveBackup.ts";
import { Retention } from "../../../components/index.ts";
import { DEPLOY_WITH_NAME, layOutApplication } from "../application.ts";
import { declare } from "../mocks.ts";

let folder: string;
before(() => {
  folder = layOutApplication(DEPLOY_WITH_NAME);
});
after(() => rmSync(folder, { recursive: true }));

function argsWith(changes: Partial<PostgresBackupArgs> = {}): PostgresBackupArgs {
  return {
    kamal: { config: join(folder, "config/deploy.yml") },
    bucket: {
      name: "shop-backups",
      endpoint: "https://shop-backups.s3.fr-par.scw.cloud",
      region: "fr-par",
      accessKeyId: "SCWEXAMPLE",
      secretAccessKey: "the-secret-key",
      retention: Retention.days(30),
    },
    schedule: "15 3 * * *",
    postgres: { password: "the-database-password" },
    ssh: { hostKeys: { "192.0.2.10": "ssh-ed25519 AAAA" }, privateKey: "key" },
    ...changes,
  };
}

/** What the arguments come to, and the lines of the log, without Pulumi's engine or its mocks. */
function resolved(changes: Partial<PostgresBackupArgs> = {}, preview = true) {
  const lines: string[] = [];
  const backup = resolveBackup(argsWith(changes), {
    preview,
    info: (text) => lines.push(`info ${text}`),
    warn: (text) => lines.push(`warn ${text}`),
  });
  return { backup, lines };
}

test("arguments, deploy.yml and known hosts come together before anything is made", () => {
  const { backup } = resolved();
  assert.deepEqual(backup.accessory, {
    key: "db_backup",
    service: "shop",
    container: "shop-db_backup",
  });
  assert.deepEqual(backup.database.names, ["shop_production"]);
  assert.deepEqual(backup.bucket.location, {
    endpoint: "https://s3.fr-par.scw.cloud",
    region: "fr-par",
    bucket: "shop-backups",
    prefix: "shop",
  });
  assert.equal(backup.bucket.keys.from, "owner");
  assert.deepEqual(backup.image, {
    from: "registry",
    repository: "shop-db-backup",
    platform: "linux/amd64",
  });
  assert.equal(backup.copy, undefined);
});

function assertLines(lines: readonly string[], beginnings: readonly string[]): void {
  const shown = lines.map((line, index) => line.slice(0, beginnings[index]?.length));
  assert.deepEqual(shown, beginnings);
}

test("a preview describes the plan in this order, an update reports only what was put right", () => {
  assertLines(resolved({ backupBytes: 400e9, memory: "64m" }).lines, [
    "info keeps 30 backups to restore from",
    "info bucket.retention: the bucket's own rules must expire shop/ after 30 days",
    "warn bucket.endpoint contains the bucket name",
    "warn encryption is not declared",
    'warn memory "64m" does not suffice',
  ]);
  assertLines(resolved({}, false).lines, ["warn bucket.endpoint contains the bucket name"]);
});

const IMAGES: [string, Partial<PostgresBackupArgs>, ResolvedBackup["image"]["from"]][] = [
  ["built here", {}, "registry"],
  ["built on the host", { build: "host" }, "host"],
  ["published", { image: "ghcr.io/you/db-backup:17" }, "published"],
];
for (const [what, changes, from] of IMAGES) {
  test(`the image is ${what}`, () => assert.equal(resolved(changes).backup.image.from, from));
}

test("a backup that contradicts itself declares no child, not even keys", async () => {
  const { AwsBackupBucket, PostgresBackup } = await import("../../../components/index.ts");
  const declared = await declare(false, () => {
    const bucket = new AwsBackupBucket("shop-backups", { retention: Retention.days(30) });
    const copy = { bucket: argsWith().bucket, every: "sometimes" };
    assert.throws(() => new PostgresBackup("shop", argsWith({ bucket, copy })), /copy\.every/);
    return [bucket.bucketName];
  });
  const types = declared.map(({ type }) => type);
  assert.ok(types.includes("kamal-postgres-backup:index:AwsBackupBucket"));
  assert.deepEqual(
    types.filter((type) => /BackupKeys|iam|KeyProbe|AgentImage/.test(type)),
    [],
  );
});
