import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { BackupOutputs } from "../../../common/contracts/stackOutputs.ts";
import type * as Components from "../../../components/index.ts";
import { DEPLOY, layOutApplication, SECRETS } from "../application.ts";
import { type Declared, declare } from "../mocks.ts";

let folder: string;
let components: typeof Components;
before(async () => {
  folder = layOutApplication(DEPLOY, SECRETS);
  components = await import("../../../components/index.ts");
});
after(() => rmSync(folder, { recursive: true }));

interface Wish {
  readonly database?: string | readonly string[];
  readonly bucket?: Partial<Components.AwsBackupBucketArgs>;
}

async function backup({ database = "shop_production", bucket = {} }: Wish) {
  const { AwsBackupBucket, PostgresBackup, Retention, Schedule } = components;
  let outputs: BackupOutputs | undefined;
  const declared = await declare(false, () => {
    const made = new PostgresBackup("shop", {
      kamal: { config: join(folder, "config/deploy.yml") },
      database,
      bucket: new AwsBackupBucket("shop-backups", { retention: Retention.days(30), ...bucket }),
      schedule: Schedule.daily("03:15"),
      ssh: { hostKeys: { "192.0.2.10": "ssh-ed25519 AAAA" }, privateKey: "the-private-key\n" },
      image: `registry.example.com/agent@sha256:${"4f".repeat(32)}`,
    });
    return [
      made.outputs.apply((value) => {
        outputs = value;
      }),
    ];
  });
  assert(outputs);
  return { declared, outputs };
}

const blockOf = (declared: readonly Declared[]) =>
  String(declared.find(({ type }) => type.endsWith(":RenderedBlock"))?.inputs["block"]);

test("several databases: one container, all names, the first one in `database`", async () => {
  const names = ["app", "app_cache", "app_queue", "app_cable"];
  const { declared, outputs } = await backup({ database: names });
  assert.match(blockOf(declared), /POSTGRES_DATABASE: "?app,app_cache,app_queue,app_cable"?\n/);
  assert.equal(outputs.database, "app");
  assert.deepEqual(outputs.databases, names);
});

test("names that the container could not tell apart are refused", async () => {
  const { Retention } = components;
  await assert.rejects(backup({ database: ["a,b"] }), /database: "a,b" is no name/);
  await assert.rejects(backup({ database: [" a"] }), /database: " a" is no name/);
  await assert.rejects(backup({ database: ["a", "b", "a"] }), /database: "a" is given twice/);
  assert.equal(Retention.days(30).tierDays, undefined);
});

test("tiers: a rule for each folder and the longest above them, and the container told", async () => {
  const { Retention } = components;
  const retention = Retention.tiers({ daily: 7, weekly: 35, monthly: 365 });
  const { declared, outputs } = await backup({ bucket: { retention, prefix: "shop" } });
  assert.match(blockOf(declared), /BACKUP_TIERS: "true"/);
  assert.equal(outputs.retentionDays, 365);
  assert.deepEqual(outputs.tierDays, { daily: 7, weekly: 35, monthly: 365 });
  const lifecycle = declared.find(({ type }) => type.includes("LifecycleConfiguration"));
  const rules = lifecycle?.inputs["rules"] as {
    filter: { prefix?: string };
    expiration?: { days?: number };
  }[];
  assert.deepEqual(
    rules.flatMap(({ filter, expiration }) =>
      expiration?.days === undefined ? [] : [[filter.prefix ?? "", expiration.days]],
    ),
    [
      ["shop/", 365],
      ["shop/daily/", 7],
      ["shop/weekly/", 35],
      ["shop/monthly/", 365],
      ["shop/suspect/", 7],
    ],
  );
});

test("tiers without a rule for the backup's folder are refused", async () => {
  const { Retention } = components;
  const retention = Retention.tiers({ daily: 7, weekly: 35, monthly: 365 });
  for (const bucket of [{ retention }, { retention, prefix: "" }]) {
    await assert.rejects(backup({ bucket }), /prefix: give the folder .*tiers are folders below/);
  }
  await assert.rejects(
    backup({ bucket: { retention, prefix: "blog" } }),
    /backups would go to "shop", but the bucket's rules are for "blog"/,
  );
  await assert.rejects(
    backup({ bucket: { retention, prefix: "shop/" } }),
    /prefix: "shop\/" must be a folder without slash/,
  );
});
