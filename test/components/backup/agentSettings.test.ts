import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import type { BackupOutputs } from "../../../common/contracts/stackOutputs.ts";
import type * as Components from "../../../components/index.ts";
import { DEPLOY, layOutApplication, SECRETS } from "../application.ts";
import { type Declared, declare, overhear } from "../mocks.ts";

let folder: string;
let components: typeof Components;
before(async () => {
  folder = layOutApplication(DEPLOY, SECRETS);
  components = await import("../../../components/index.ts");
});
after(() => rmSync(folder, { recursive: true }));

/** Variables of the container, the stack's outputs, and what was said, for these arguments. */
async function declared(
  changes: (of: typeof Components) => Partial<Components.PostgresBackupArgs>,
  preview = false,
) {
  let outputs: BackupOutputs | undefined;
  let resources: Declared[] = [];
  const said = await overhear(async () => {
    resources = await declare(preview, () => {
      const backup = new components.PostgresBackup("shop", {
        kamal: { config: join(folder, "config/deploy.yml") },
        database: "shop_production",
        schedule: "15 3 * * *",
        ssh: { hostKeys: { "192.0.2.10": "ssh-ed25519 AAAA" }, privateKey: "the-private-key\n" },
        image: `registry.example.com/agent@sha256:${"4f".repeat(32)}`,
        bucket: given(),
        ...changes(components),
      });
      return [
        backup.outputs.apply((value) => {
          outputs = value;
        }),
      ];
    });
  });
  const block = resources.find(({ type }) => type.endsWith(":RenderedBlock"))?.inputs["block"];
  return { block: String(block), outputs, said: said.join("\n") };
}

const given = (retention?: Components.Retention): Components.ExistingBucket => ({
  name: "shop-backups",
  endpoint: "https://s3.fr-par.scw.cloud",
  region: "fr-par",
  accessKeyId: "SCWEXAMPLE",
  secretAccessKey: "the-secret-key",
  ...(retention && { retention }),
});

const made = ({ AwsBackupBucket, Retention }: typeof Components, prefix?: string) =>
  new AwsBackupBucket("shop-backups", {
    retention: prefix
      ? Retention.tiers({ daily: 7, weekly: 35, monthly: 365 })
      : Retention.days(30),
    ...(prefix && { prefix }),
  });

test("every database: the container finds them, the outputs say so", async () => {
  const { block, outputs } = await declared(() => ({
    database: "all",
    excludeDatabases: ["shop_cache", "shop_queue"],
  }));
  assert.match(block, /POSTGRES_BACKUP_ALL: "true"/);
  assert.match(block, /POSTGRES_EXCLUDE_DATABASES: "?shop_cache,shop_queue"?\n/);
  assert.doesNotMatch(block, /POSTGRES_DATABASE/);
  assert.deepEqual([outputs?.database, outputs?.databases], ["", "all"]);
  const named = await declared(() => ({ database: ["all"] }));
  assert.match(named.block, /POSTGRES_DATABASE: "?all"?\n/);
  assert.deepEqual(named.outputs?.databases, ["all"]);
});

test("what is left at its default is not written, what is not reaches the container", async () => {
  const { block } = await declared(() => ({}));
  assert.doesNotMatch(block, / BACKUP_|PGDUMP/);
  const own = await declared(() => ({
    keep: { days: 30 },
    maxShrinkPercent: 20,
    maxRunHours: 12,
    transientTables: ["staging.*", "import_*"],
    globals: false,
    dumpOptions: ["--exclude-table-data=sessions", "-T", "logs"],
  }));
  assert.match(own.block, /BACKUP_KEEP_DAYS: "30"/);
  assert.doesNotMatch(own.block, /BACKUP_KEEP_AT_LEAST/);
  assert.match(own.block, /BACKUP_MAX_SHRINK_PERCENT: "20"/);
  assert.match(own.block, /BACKUP_MAX_RUN_HOURS: "12"/);
  assert.match(own.block, /BACKUP_TRANSIENT_TABLES: "?staging\.\*,import_\*"?\n/);
  assert.match(own.block, /BACKUP_GLOBALS: "false"/);
  assert.match(own.block, /PGDUMP_EXTRA_OPTS: "?--exclude-table-data=sessions -T logs"?\n/);
  const more = await declared(() => ({ keep: { days: 30, atLeast: 14 } }));
  assert.match(more.block, /BACKUP_KEEP_AT_LEAST: "14"/);
});

test("a bucket's own rules, told: the folders, the outputs, and what the preview asks of them", async () => {
  const tiers = ({ Retention }: typeof Components) => ({
    bucket: given(Retention.tiers({ daily: 7, weekly: 35, monthly: 365 })),
  });
  const { block, outputs } = await declared(tiers);
  assert.match(block, /BACKUP_TIERS: "true"/);
  assert.deepEqual(
    [outputs?.retentionDays, outputs?.tierDays],
    [365, { daily: 7, weekly: 35, monthly: 365 }],
  );
  const { said } = await declared(tiers, true);
  assert.match(
    said,
    /own rules must expire shop\/ after 365 days, shop\/daily\/ after 7 days, .*shop\/suspect\/ after 7 days; nothing here sets or checks them/,
  );
  assert.match(said, /keeps \d+ backups to restore from/);
  const plain = await declared(
    ({ Retention }) => ({ bucket: given(Retention.days(1)) }),
    true,
  ).catch((error: Error) => error.message);
  assert.match(String(plain), /schedule and bucket\.retention contradict each other/);
});

test("list's last day is the sooner one, where the container deletes before the bucket's rule", async () => {
  const { outputs } = await declared(({ Retention }) => ({
    bucket: given(Retention.days(90)),
    keep: { days: 30 },
  }));
  assert.equal(outputs?.retentionDays, 30);
  const unknown = await declared(() => ({ keep: { days: 30 } }));
  assert.equal(unknown.outputs?.retentionDays, undefined);
});

/** A bucket that brought keys of its own making. */
const withKeys = (tiered: boolean): Components.BucketWithKeys => ({
  bucketName: pulumi.output("shop-backups"),
  region: "fr-par",
  endpoint: "https://s3.fr-par.scw.cloud",
  allowInsecure: false,
  writer: {
    accessKeyId: pulumi.output("SCWMADE"),
    secretAccessKey: pulumi.secret("the-secret-key"),
  },
  keyAccess: "append-only",
  retentionDays: 365,
  tierDays: tiered ? { daily: 7, weekly: 35, monthly: 365 } : undefined,
  prefix: tiered ? "shop" : "",
  tiered,
  keeping: undefined,
  lock: undefined,
});

type Changes = (of: typeof Components) => Partial<Components.PostgresBackupArgs>;
const REFUSED: readonly [changes: Changes, sentence: RegExp][] = [
  [() => ({ excludeDatabases: ["a"] }), /^excludeDatabases goes with database: "all" only/],
  [() => ({ database: "all", excludeDatabases: ["a,b"] }), /excludeDatabases: "a,b" is no name/],
  [
    () => ({ database: "all", excludeDatabases: ["a", "a"] }),
    /excludeDatabases: "a" is given twice/,
  ],
  [() => ({ maxShrinkPercent: 0 }), /maxShrinkPercent 0 must be a whole number from 1 to 100/],
  [() => ({ maxRunHours: 0 }), /maxRunHours 0 must be a whole number from 1 to 596/],
  [() => ({ maxShrinkPercent: 12.5 }), /maxShrinkPercent 12\.5 must be/],
  [() => ({ transientTables: ["a,b"] }), /^transientTables has "a,b", which cannot be given/],
  [() => ({ transientTables: [""] }), /^transientTables has "", which cannot be given/],
  [() => ({ transientTables: ["log", "*.*"] }), /^transientTables has "\*\.\*", .* every table/],
  [() => ({ keep: { days: 0 } }), /keep\.days 0 must be a whole number from 1 to 36500/],
  [() => ({ keep: { days: 9, atLeast: 0 } }), /keep\.atLeast 0 must be/],
  [(of) => ({ bucket: made(of), keep: { days: 9 } }), /keep: the key that is made .*cannot delete/],
  [() => ({ bucket: withKeys(false), keep: { days: 9 } }), /keep: the key that is made/],
  [() => ({ bucket: withKeys(true) }), /"append-only" and retention tiers contradict each other/],
  [
    () => ({ keep: { days: 9 }, keys: { access: "append-only" } }),
    /keep and keys\.access "append-only" contradict/,
  ],
  [
    ({ Retention }) => ({ bucket: given(Retention.days(30)), keep: { days: 90 } }),
    /keep\.days is 90, but the bucket's own rule expires every backup after 30 days/,
  ],
  [
    ({ Retention }) => ({
      bucket: given(Retention.tiers({ daily: 7, weekly: 35, monthly: 365 })),
      keep: { days: 90 },
    }),
    /keep and retention tiers contradict each other/,
  ],
  [
    (of) => ({ bucket: made(of, "shop"), keys: { access: "append-only" } }),
    /"append-only" and retention tiers contradict each other/,
  ],
  [
    () => ({ dumpOptions: ["--jobs=4"] }),
    /dumpOptions has "--jobs=4", which the backup sets itself/,
  ],
  [
    () => ({ dumpOptions: ["--exclude-table=a b"] }),
    /dumpOptions: "--exclude-table=a b" must be one/,
  ],
];
for (const [changes, sentence] of REFUSED) {
  test(`refused at preview: ${sentence.source}`, async () => {
    const refusal = await declared(changes, true).then(
      () => "",
      (error: Error) => error.message,
    );
    assert.match(refusal, sentence);
    assert.equal(refusal.includes("\n"), false, "one sentence");
  });
}
