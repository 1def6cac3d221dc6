import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { backupOutputsSchema } from "../../../common/contracts/stackOutputs.ts";
import { Schedule } from "../../../common/schedule/schedule.ts";
import { copyRhythm } from "../../../components/backup/rhythm.ts";
import type * as Components from "../../../components/index.ts";
import { deployYml, layOutApplication, REGISTRY } from "../application.ts";
import { type Declared, declare, plainText, SECRET_KEY } from "../mocks.ts";

const COPY_SECRET = "the-secret-key-of-the-copy";

let folder: string;
let components: typeof Components;
before(async () => {
  folder = layOutApplication(
    deployYml({
      head: `${REGISTRY}ssh: { user: deploy }\n`,
      clear: { POSTGRES_USER: "shop", POSTGRES_DB: "shop_production" },
    }),
    "POSTGRES_PASSWORD='the-database-password'\nKAMAL_REGISTRY_PASSWORD='the-registry-password'\n",
  );
  components = await import("../../../components/index.ts");
});
after(() => rmSync(folder, { recursive: true }));

type Args = Components.PostgresBackupArgs;

function make(copy: Args["copy"], changes: Partial<Args> = {}): Components.PostgresBackup {
  const { AwsBackupBucket, PostgresBackup, Retention } = components;
  return new PostgresBackup("shop", {
    kamal: { config: join(folder, "config/deploy.yml") },
    bucket:
      changes.bucket ?? new AwsBackupBucket("shop-backups", { retention: Retention.days(30) }),
    schedule: "@hourly",
    ssh: { hostKeys: { "192.0.2.10": "ssh-ed25519 AAAA" }, privateKey: "the-private-key" },
    ...(copy && { copy }),
    ...changes,
  });
}

const elsewhere = (changes: Partial<Components.ExistingBucket> = {}) => ({
  name: "shop-copies",
  endpoint: "https://s3.fr-par.scw.cloud",
  region: "fr-par",
  accessKeyId: "SCWCOPY",
  secretAccessKey: COPY_SECRET,
  ...changes,
});

const names = (declared: readonly Declared[], type: RegExp) =>
  declared.filter((one) => type.test(one.type)).map(({ name }) => name);

test("a copy in a bucket that exists has its key tried, and goes into block, secrets and outputs", async () => {
  let outputs: unknown;
  const declared = await declare(false, () => {
    const backup = make({ bucket: elsewhere(), every: "@daily" });
    return [
      backup.outputs.apply((value) => {
        outputs = value;
      }),
    ];
  });
  assert.deepEqual(names(declared, /:KeyProbe$/).toSorted(), [
    "shop-copy-key-probe",
    "shop-key-probe",
  ]);
  assert.ok(!names(declared, /aws:iam/).some((name) => name.startsWith("shop-copy")));
  const block = String(
    declared.find(({ type }) => type.endsWith(":RenderedBlock"))?.inputs["block"],
  );
  for (const line of [
    /COPY_S3_ENDPOINT: https:\/\/s3\.fr-par\.scw\.cloud/,
    /COPY_S3_BUCKET: shop-copies/,
    /COPY_EVERY: ["']?@daily/,
    /- COPY_S3_ACCESS_KEY_ID:DB_BACKUP_COPY_S3_ACCESS_KEY_ID/,
    /- COPY_S3_SECRET_ACCESS_KEY:DB_BACKUP_COPY_S3_SECRET_ACCESS_KEY/,
  ]) {
    assert.match(block, line);
  }
  assert.doesNotMatch(block, /COPY_S3_PREFIX/, "the same folder as the backups'");
  assert.deepEqual(backupOutputsSchema.parse(outputs).copy, {
    location: {
      endpoint: "https://s3.fr-par.scw.cloud",
      region: "fr-par",
      bucket: "shop-copies",
      prefix: "shop",
    },
    writerKeyId: "SCWCOPY",
    rpoHours: 26,
  });
});

test("a copy on AWS gets keys of its own, for its own bucket and folder", async () => {
  const declared = await declare(false, () => {
    const { AwsBackupBucket, Retention } = components;
    const bucket = new AwsBackupBucket("shop-far", {
      retention: Retention.days(90),
      region: "eu-north-1",
    });
    const backup = make({ bucket, prefix: "far" }, { bucket: elsewhere({ name: "shop-first" }) });
    assert.ok(backup.copyKeys);
    return [
      backup.outputs.apply(({ copy }) => {
        assert.equal(copy?.retentionDays, 90);
        assert.equal(copy?.rpoHours, 3);
      }),
    ];
  });
  assert.deepEqual(names(declared, /aws:iam\/accessKey/).toSorted(), [
    "shop-copy-keys-key",
    "shop-copy-keys-reader-key",
  ]);
  const policy = declared.find(({ name }) => name === "shop-copy-keys-policy");
  assert.match(JSON.stringify(policy?.inputs["policy"]), /shop-far-4f2a\/far\/\*/);
});

test("keep is told for copies that the container deletes, and not for those that it cannot or must not", async () => {
  const { Retention } = components;
  const days = Retention.days(90);
  const tiers = Retention.tiers({ daily: 7, weekly: 35, monthly: 365 });
  const rows = [
    [elsewhere({ retention: days }), 30],
    [elsewhere({ retention: Retention.days(20) }), 20],
    [elsewhere({ retention: tiers }), 365],
    [undefined, 90],
  ] as const;
  for (const [given, kept] of rows) {
    await declare(false, () => {
      const { AwsBackupBucket } = components;
      const bucket = given ?? new AwsBackupBucket("shop-far", { retention: days });
      const backup = make(
        { bucket },
        { bucket: elsewhere({ name: "shop-first" }), keep: { days: 30 } },
      );
      return [backup.outputs.apply(({ copy }) => assert.equal(copy?.retentionDays, kept))];
    });
  }
});

test("at preview nothing throws on what is not known yet", async () => {
  const declared = await declare(true, () => {
    const { AwsBackupBucket, Retention } = components;
    const bucket = new AwsBackupBucket("shop-far", { retention: Retention.days(90) });
    return [make({ bucket }).outputs];
  });
  assert.deepEqual(names(declared, /:BackupKeys$/).toSorted(), ["shop-copy-keys", "shop-keys"]);
});

test("no secret of the copy is handed to the engine in plain", async () => {
  const declared = await declare(false, () => [make({ bucket: elsewhere() }).outputs]);
  for (const { type, name, inputs } of declared) {
    const text = plainText(inputs);
    for (const secret of [COPY_SECRET, SECRET_KEY]) {
      assert.ok(!text.includes(secret), `${type} ${name} has a secret in plain`);
    }
  }
});

const REFUSED: Record<string, [() => Args["copy"], Partial<Args>, RegExp]> = {
  "the bucket of the backups": [
    () => ({ bucket: elsewhere(), prefix: "copies" }),
    { bucket: elsewhere({ endpoint: "https://shop-copies.s3.fr-par.scw.cloud" }) },
    /copy\.bucket is the bucket "shop-copies" of the backups themselves.*protects from nothing/,
  ],
  "the bucket of the backups on AWS, by another address": [
    () => ({
      bucket: {
        ...elsewhere({ region: "eu-west-3" }),
        endpoint: "https://s3.eu-west-3.amazonaws.com",
      },
    }),
    {
      bucket: {
        name: "shop-copies",
        region: "eu-west-3",
        accessKeyId: "AKIA",
        secretAccessKey: "x",
      },
    },
    /copy in the same bucket protects from nothing/,
  ],
  "a rhythm that is none": [
    () => ({ bucket: elsewhere(), every: "sometimes" }),
    {},
    /^copy\.every "sometimes" cannot be read/,
  ],
  "keys that only their owner can rotate": [
    () => ({ bucket: elsewhere(), keys: { rotateAfter: 2 } }),
    {},
    /^copy\.keys\.rotateAfter: .*only their owner can rotate them.*take copy\.keys\.rotateAfter out/,
  ],
  "tiers with a key that cannot list": [
    () => ({
      bucket: elsewhere({
        retention: components.Retention.tiers({ daily: 7, weekly: 35, monthly: 365 }),
      }),
      keys: { access: "append-only" },
    }),
    {},
    /^copy: a key that is "append-only" and retention tiers contradict each other/,
  ],
  "a retention that its rhythm contradicts": [
    () => {
      const { AwsBackupBucket, Retention } = components;
      const bucket = new AwsBackupBucket("shop-far", { retention: Retention.days(7) });
      return { bucket, every: "@weekly" };
    },
    {},
    /^copy\.every and copy\.bucket\.retention contradict each other\n {2}given {3}copy\.every "@weekly/,
  ],
};
for (const [what, [copy, changes, message]] of Object.entries(REFUSED)) {
  test(`refused as a copy: ${what}`, async () => {
    await assert.rejects(
      declare(true, () => [make(copy(), changes).outputs]),
      (error: Error) => {
        assert.match(error.message, message);
        return true;
      },
    );
  });
}

test("the program of stacks/ takes a copy from its configuration", async () => {
  const { setAllConfig } = await import("@pulumi/pulumi/runtime/index.js");
  const config = {
    kamalConfig: join(folder, "config/deploy.yml"),
    hostKeys: '{"192.0.2.10":"ssh-ed25519 AAAA"}',
    copyBucket: '{"name":"shop-copies","endpoint":"https://s3.fr-par.scw.cloud","region":"fr-par"}',
    sshPrivateKey: "the-private-key",
    copyEvery: "@weekly",
    copyAccessKeyId: "SCWCOPY",
    copySecretAccessKey: COPY_SECRET,
  };
  const named = Object.entries(config).map(([key, value]) => [
    `kamal-postgres-backup:${key}`,
    value,
  ]);
  const { declareBackup } = await import("../../../stacks/program.ts");
  const declared = await declare(false, () => {
    setAllConfig(Object.fromEntries(named));
    return [declareBackup().outputs];
  });
  const block = declared.find(({ type }) => type.endsWith(":RenderedBlock"))?.inputs["block"];
  assert.match(String(block), /COPY_EVERY: ["']?@weekly/);
  assert.match(String(block), /COPY_S3_BUCKET: shop-copies/);
});

const RHYTHMS: [schedule: string, every: string | undefined, gap: number, perDay: number][] = [
  ["@hourly", undefined, 1, 24],
  ["@hourly", "@daily", 24, 1],
  ["15 3 * * *", "@daily", 24, 1],
  ["@daily", "@hourly", 24, 1],
  ["@every 5h", "@every 24h", 25, 1],
  ["0 1,2 * * *", "@every 24h", 47, 1],
];
for (const [schedule, every, gap, perDay] of RHYTHMS) {
  test(`backups ${schedule}, copies ${every}: up to ${gap} h apart`, () => {
    const rhythm = copyRhythm(Schedule.parse(schedule), every ? Schedule.parse(every) : undefined);
    assert.equal(rhythm.longestGapHours(), gap);
    assert.equal(rhythm.runsPerDay(), perDay);
  });
}
