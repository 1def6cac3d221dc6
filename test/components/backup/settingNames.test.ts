import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { checkedSettings } from "../../../components/backup/agentSettings.ts";
import type * as Components from "../../../components/index.ts";
import { nameSettings, settingNamesOf } from "../../../components/pulumi/settingNames.ts";
import { applied, settingsWith } from "../application.ts";
import { declare, overhear } from "../mocks.ts";

const app = applied();

const existing = (changes: Partial<Components.ExistingBucket> = {}) => ({
  name: "shop-backups",
  endpoint: "https://s3.fr-par.scw.cloud",
  region: "fr-par",
  accessKeyId: "SCWEXAMPLE",
  secretAccessKey: "the-secret-key",
  ...changes,
});

type Changes = Partial<Components.PostgresBackupArgs>;

describe("a wrong value is reported under the argument that it was written as", () => {
  const table: Record<string, [() => Changes, RegExp]> = {
    "the endpoint of a bucket that exists": [
      () => ({ bucket: existing({ endpoint: "s3.fr-par.scw.cloud" }) }),
      /^bucket\.endpoint "s3\.fr-par\.scw\.cloud" has no scheme/,
    ],
    "its region": [
      () => ({ bucket: existing({ region: "nl-ams" }) }),
      /^bucket\.endpoint says fr-par, bucket\.region says nl-ams\./,
    ],
    "its name": [
      () => ({ bucket: existing({ name: "Shop" }) }),
      /^bucket\.name "Shop" cannot be a bucket/,
    ],
    "plain http": [
      () => ({ bucket: existing({ endpoint: "http://minio.example.com" }) }),
      /^bucket\.endpoint .* plain http .* set bucket\.allowInsecure: true/,
    ],
    "the folder": [() => ({ bucket: existing(), prefix: "shop/*" }), /^prefix "shop\/\*" has a/],
    "a retention of its own rules": [
      () => ({ bucket: existing({ retention: days(1) }), schedule: "@weekly" }),
      /^schedule and bucket\.retention contradict each other/,
    ],
    "the endpoint of a copy": [
      () => ({ copy: { bucket: existing({ endpoint: "ftp://s3.example.com" }) } }),
      /^copy\.bucket\.endpoint "ftp:\/\/s3\.example\.com" has no scheme/,
    ],
    "an endpoint with a broken escape": [
      () => ({ bucket: existing({ endpoint: "https://s3.example.com/%zz" }) }),
      /^bucket\.endpoint ".*%zz" has a path with a "%"/,
    ],
    "append-only and tiers": [
      () => ({
        bucket: existing({
          retention: app.components.Retention.tiers({ daily: 7, weekly: 35, monthly: 365 }),
        }),
        keys: { access: "append-only" },
      }),
      /^keys\.access "append-only" and retention tiers .* \(bucket\.retention\)\.$/,
    ],
    "a retention that is shorter than what is kept": [
      () => ({ bucket: existing({ retention: days(30) }), keep: { days: 90 } }),
      /^keep and bucket\.retention contradict each other/,
    ],
    "the folder of the copies": [
      () => ({ copy: { bucket: existing(), prefix: "a/../b" } }),
      /^copy\.prefix "a\/\.\.\/b" has a character/,
    ],
    "a retention of a copy with each backup": [
      () => ({ schedule: "@weekly", copy: { bucket: existing({ retention: days(3) }) } }),
      /^schedule and copy\.bucket\.retention contradict each other/,
    ],
  };
  const days = (count: number) => app.components.Retention.days(count);
  for (const [what, [changes, sentence]] of Object.entries(table)) {
    test(what, () =>
      assert.rejects(
        declare(true, () => [app.backup(changes()).outputs]),
        (error: Error) => {
          assert.match(error.message, sentence);
          assert.doesNotMatch(error.message, /\bS3_/);
          return true;
        },
      ),
    );
  }

  for (const [when, region] of [
    ["at once", "fr-par"],
    ["once it is known", pulumi.output("fr-par")],
  ] as const) {
    test(`a value that is put right, ${when}`, async () => {
      const lines = await overhear(() =>
        declare(true, () => {
          const endpoint = "https://shop-backups.s3.fr-par.scw.cloud";
          return [app.backup({ bucket: existing({ endpoint, region }) }).outputs];
        }),
      );
      assert.match(lines.join("\n"), /^bucket\.endpoint contains the bucket name/m);
    });
  }

  test("of a bucket on AWS, its own argument", async () => {
    const endpoint = "s3.example.com";
    const program = () => {
      const { AwsBackupBucket } = app.components;
      return [new AwsBackupBucket("b", { retention: days(30), endpoint }).urn];
    };
    await assert.rejects(declare(true, program), /^Error: endpoint "s3\.example\.com" has no/);
  });
});

test("arguments that come from elsewhere are named as they are there, with what lies below them", () => {
  const args = nameSettings({}, { bucket: "existingBucket", "keep.days": "keepDays" });
  const name = settingNamesOf(args);
  assert.equal(name("bucket"), "existingBucket");
  assert.equal(name("bucket.endpoint"), "existingBucket.endpoint");
  assert.equal(name("keep.days"), "keepDays");
  assert.equal(name("keep.atLeast"), "keep.atLeast");
  assert.equal(name("buckets"), "buckets");
  assert.equal(settingNamesOf({ ...args })("bucket"), "bucket");
});

describe("a secret that Kamal would alter is named as it was given", () => {
  const variables: Record<string, string> = {
    POSTGRES_PASSWORD: "postgres.password",
    S3_ACCESS_KEY_ID: "bucket.accessKeyId",
    S3_SECRET_ACCESS_KEY: "bucket.secretAccessKey",
    COPY_S3_ACCESS_KEY_ID: "copy.bucket.accessKeyId",
    PASSPHRASE: "Encryption.passphrase",
    WEBHOOK_URL: "notices.webhookUrl",
  };
  for (const [variable, setting] of Object.entries(variables)) {
    test(setting, () => {
      const resolved = app.resolve({
        bucket: existing(),
        copy: { bucket: existing({ name: "shop-copies" }) },
      });
      assert.throws(
        () => checkedSettings(settingsWith(variable), resolved),
        (error: Error) => {
          assert.ok(error.message.startsWith(`${setting} (${variable}) contains a line end`));
          return true;
        },
      );
    });
  }

  test("Kamal's own secret", () => {
    const resolved = app.resolve({ bucket: existing() });
    const database = { ...resolved.database, passwordFrom: "DB_PASSWORD" };
    assert.throws(
      () => checkedSettings(settingsWith("POSTGRES_PASSWORD"), { ...resolved, database }),
      /^Problem: Kamal's secret DB_PASSWORD \(POSTGRES_PASSWORD\) contains a line end/,
    );
  });
});
