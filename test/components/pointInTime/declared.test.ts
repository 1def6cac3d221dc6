import assert from "node:assert/strict";
import { test } from "node:test";
import { fromEnvironment } from "../../../common/contracts/agentEnvironment/environment.ts";
import type { BackupOutputs } from "../../../common/contracts/stackOutputs.ts";
import type * as Components from "../../../components/index.ts";
import { applied } from "../application.ts";
import { declare, inputs, isSecret, overhear, WAL_PASSWORD } from "../mocks.ts";

const app = applied();

type Changes = Partial<Components.PostgresBackupArgs>;

/** The block, the container's secrets, the outputs, and what was said, for these arguments. */
async function declared(changes: Changes, preview = false) {
  let outputs: BackupOutputs | undefined;
  let resources: Awaited<ReturnType<typeof declare>> = [];
  const said = await overhear(async () => {
    resources = await declare(preview, () => [
      app.backup(changes).outputs.apply((value) => {
        outputs = value;
      }),
    ]);
  });
  return { outputs, resources, said: said.join("\n") };
}

const existing = (retention?: Components.Retention): Components.ExistingBucket => ({
  name: "shop-backups",
  endpoint: "https://s3.fr-par.scw.cloud",
  region: "fr-par",
  accessKeyId: "SCWEXAMPLE",
  secretAccessKey: "the-secret-key",
  ...(retention && { retention }),
});

test("switched on: what the container is told, its memory and /dev/shm, the password among its secrets, the outputs", async () => {
  const { resources, outputs } = await declared({ pointInTime: { keep: "14d" } });
  const block = String(inputs(resources, ":RenderedBlock")["block"]);
  assert.match(block, /POINT_IN_TIME_KEEP_DAYS: "14"/);
  assert.match(block, /POINT_IN_TIME_BASE_SCHEDULE: "?0 2 \* \* 0"?\n/);
  assert.match(block, /memory: "?384m"?\n/);
  assert.match(block, /shm-size: "?96m"?\n/);
  assert.match(block, /- POINT_IN_TIME_PASSWORD:DB_BACKUP_POINT_IN_TIME_PASSWORD\n/);
  assert.doesNotMatch(block, new RegExp(WAL_PASSWORD));
  const secrets = inputs(resources, ":SecretsBlock")["block"];
  assert.ok(isSecret(secrets));
  assert.match(
    String((secrets as unknown as { value: unknown }).value),
    new RegExp(`DB_BACKUP_POINT_IN_TIME_PASSWORD='?${WAL_PASSWORD}`),
  );
  assert.deepEqual(outputs?.pointInTime, {
    keepDays: 14,
    rpoSeconds: 10,
    baseSchedule: "0 2 * * 0",
  });
});

test("not switched on: nothing of it in the container, in the outputs, nor among the resources", async () => {
  const { resources, outputs, said } = await declared({}, true);
  assert.equal(outputs?.pointInTime, undefined);
  assert.doesNotMatch(
    `${JSON.stringify(resources)}${said}`,
    /POINT_IN_TIME|pitr|WalPassword|shm-size/,
  );
});

test("each value reaches the agent as it reads it", async () => {
  const pointInTime = { keep: "7d", base: "TZ=Europe/Paris 0 4 * * *", rpo: "1m30s" };
  const { outputs } = await declared({ pointInTime });
  assert.deepEqual(outputs?.pointInTime, {
    keepDays: 7,
    rpoSeconds: 90,
    baseSchedule: "TZ=Europe/Paris 0 4 * * *",
  });
  const settings = fromEnvironment({
    POSTGRES_HOST: "db",
    POSTGRES_USER: "shop",
    POSTGRES_PASSWORD: "pw",
    POSTGRES_DATABASE: "shop",
    S3_BUCKET: "b",
    S3_REGION: "r",
    S3_PREFIX: "p",
    S3_ACCESS_KEY_ID: "i",
    S3_SECRET_ACCESS_KEY: "s",
    POINT_IN_TIME_KEEP_DAYS: "7",
    POINT_IN_TIME_BASE_SCHEDULE: "0 4 * * *",
    POINT_IN_TIME_PASSWORD: "pw",
  });
  assert.equal(settings.pointInTime?.rpoSeconds, 10);
});

for (const [schedule, base] of [
  ["15 3 * * *", "0 2 * * 0"],
  ["0 2 * * *", "1 2 * * 0"],
  ["@hourly", "1 2 * * 0"],
  ["0,1 2 * * *", "2 2 * * 0"],
  // At 02:00 UTC in winter.
  ["TZ=Europe/Paris 0 3 * * *", "1 2 * * 0"],
  ["@every 6h", "0 2 * * 0"],
  ["* * * * *", "0 2 * * 0"],
] as const) {
  test(`base backups by default keep clear of dumps at ${schedule}`, () => {
    const { pointInTime } = app.resolve({
      bucket: existing(),
      schedule,
      pointInTime: { keep: "14d" },
    });
    assert.equal(pointInTime?.base.toString(), base);
  });
}

test("the preview says what it keeps, what it costs, and what the container takes", async () => {
  const { said } = await declared({ pointInTime: { keep: "14d" }, backupBytes: 1e9 }, true);
  assert.match(
    said,
    /pointInTime\.keep: any second of the last 14 days needs base backups and WAL of 29 days: 5 base backups at a time and 30 days of WAL, about 25\.0 GB/,
  );
  assert.match(said, /up to 8928 small objects a day, 267840 of them at a time/);
  assert.match(
    said,
    /shop\/pitr\/ and shop\/pitr-open\/ expire after 30 days with the backups\. bucket\.pointInTime gives them/,
  );
  assert.match(said, /memory "384m" and a shm-size of 96m/);
  const { said: small } = await declared({ pointInTime: { keep: "14d" }, memory: "128m" }, true);
  assert.match(
    small,
    /memory "128m" does not suffice beside pointInTime: .* at least memory: "384m"/,
  );
});

test("a bucket's own rules for it: in the bucket, and in what the preview says", async () => {
  const { AwsBackupBucket, Retention } = app.components;
  const pointInTime = { keep: "14d" };
  const bucket = () =>
    new AwsBackupBucket("shop-own", {
      retention: Retention.days(60),
      pointInTime: { ...pointInTime, prefix: "shop" },
    });
  let said: string[] = [];
  const resources = await declare(true, () => {
    said = [];
    return [bucket().lifecycle.urn];
  });
  const { rules } = inputs(resources, ":BucketLifecycleConfiguration") as unknown as {
    rules: { id: string; filter: unknown; expiration?: unknown }[];
  };
  assert.deepEqual(
    rules
      .filter(({ id }) => id.startsWith("expire-pitr"))
      .map(({ id, filter, expiration }) => [id, filter, expiration]),
    [
      ["expire-pitr", { prefix: "shop/pitr/" }, { days: 29 }],
      ["expire-pitr-open", { prefix: "shop/pitr-open/" }, { days: 7 }],
    ],
  );
  said = await overhear(() =>
    declare(true, () => [app.backup({ bucket: bucket(), pointInTime }).outputs]),
  );
  assert.match(said.join("\n"), /62496 of them at a time/);
  assert.doesNotMatch(said.join("\n"), /expire after|nothing here/);
  const longer = declare(true, () => [
    app.backup({ bucket: bucket(), pointInTime: { keep: "30d" } }).outputs,
  ]);
  await assert.rejects(longer, /pointInTime\.keep and bucket\.pointInTime contradict each other/);
  for (const [args, sentence] of [
    [{ pointInTime }, /^pointInTime\.prefix: "" must be the folder of the backup/],
    [
      { pointInTime, prefix: "a", more: "b" },
      /^pointInTime\.prefix: "b" lies outside of prefix "a"/,
    ],
  ] as const) {
    const wrong = declare(true, () => [
      new AwsBackupBucket("shop-wrong", {
        retention: Retention.days(60),
        ...("prefix" in args && { prefix: args.prefix }),
        pointInTime: { ...pointInTime, ...("more" in args && { prefix: args.more }) },
      }).urn,
    ]);
    await assert.rejects(wrong, (error: Error) => sentence.test(error.message));
  }
});

test("of a bucket whose rules are its owner's the preview says what they must be", async () => {
  const pointInTime = { keep: "14d" };
  const { Retention } = app.components;
  const known = await declared({ bucket: existing(Retention.days(30)), pointInTime }, true);
  assert.match(known.said, /own rules must not expire shop\/pitr\/ before 29 days/);
  const unknown = await declared({ bucket: existing(), pointInTime }, true);
  assert.match(
    unknown.said,
    /nothing here removes what lies under shop\/pitr\/ and shop\/pitr-open\//,
  );
});

const tiers = () => app.components.Retention.tiers({ daily: 7, weekly: 21, monthly: 35 });
const REFUSED: readonly [changes: () => Changes, sentence: RegExp][] = [
  [() => ({ pointInTime: { keep: "36h" } }), /^pointInTime\.keep "36h" must be whole days/],
  [() => ({ pointInTime: { keep: "0d" } }), /^pointInTime\.keep "0d" must be whole days/],
  [() => ({ pointInTime: { keep: "14" } }), /^pointInTime\.keep "14" must be whole days/],
  [
    () => ({ pointInTime: { keep: "14d", base: "sometimes" } }),
    /^pointInTime\.base "sometimes" cannot be read/,
  ],
  [
    () => ({ pointInTime: { keep: "14d", rpo: "2h" } }),
    /^pointInTime\.rpo "2h" must be a time from 1s to 1h/,
  ],
  [
    () => ({ pointInTime: { keep: "14d", serverDisk: "4" } }),
    /^pointInTime\.serverDisk "4" must be a size of 256MB or more/,
  ],
  [
    () => ({ pointInTime: { keep: "14d", serverDisk: "255MB" } }),
    /^pointInTime\.serverDisk "255MB" must be a size of 256MB or more/,
  ],
  [
    () => ({ pointInTime: { keep: "14d" }, postgres: { host: "db.example.com", password: "pw" } }),
    /^pointInTime is for a database that runs as an accessory.*192\.0\.2\.10.*the server here is db\.example\.com\./,
  ],
  [
    () => ({ pointInTime: { keep: "14d" }, driver: "render" }),
    /^driver "render" and pointInTime contradict each other/,
  ],
  [
    () => ({ pointInTime: { keep: "14d" }, bucket: existing(app.components.Retention.days(28)) }),
    /^pointInTime\.keep and bucket\.retention contradict each other\n.*14 days.*7 days from.*28 days\n.*\n.*keep backups at least 29 days \(bucket\.retention\), or set pointInTime\.keep to at most 13d, or take a base backup at least every 6 days \(pointInTime\.base\)$/,
  ],
  [
    () => ({ pointInTime: { keep: "30d" }, bucket: existing(tiers()), prefix: "shop" }),
    /^pointInTime\.keep and bucket\.retention contradict each other\n.*30 days.*bucket\.retention 35 days/,
  ],
];
for (const [changes, sentence] of REFUSED) {
  test(`refused: ${sentence.source}`, () => {
    const refusal = () => app.resolve({ bucket: existing(), ...changes() });
    assert.throws(refusal, (error: Error) => {
      assert.match(error.message, sentence);
      return true;
    });
  });
}
