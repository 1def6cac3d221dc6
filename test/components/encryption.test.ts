import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import type * as Components from "../../components/index.ts";
import { declare, plainText } from "./mocks.ts";

const RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const OTHER = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";

let folder: string;
let components: typeof Components;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "components-"));
  mkdirSync(join(folder, ".kamal"));
  writeFileSync(
    join(folder, "deploy.yml"),
    `service: shop
accessories:
  db:
    image: postgres:17
    host: 192.0.2.10
    env:
      clear:
        POSTGRES_DB: shop_production
`,
  );
  components = await import("../../components/index.ts");
});
after(() => rmSync(folder, { recursive: true }));

const make = (changes: Partial<Components.PostgresBackupArgs>) =>
  new components.PostgresBackup("shop", {
    kamal: { config: join(folder, "deploy.yml"), secretsFile: join(folder, ".kamal/secrets") },
    bucket: new components.AwsBackupBucket("shop-backups", {
      retention: components.Retention.days(30),
    }),
    schedule: components.Schedule.daily("03:15"),
    postgres: { password: "the-database-password" },
    image: `registry.example.com/agent@sha256:${"4f".repeat(32)}`,
    ssh: { hostKeys: { "192.0.2.10": "ssh-ed25519 AAAA" }, privateKey: "key" },
    ...changes,
  });

const backup = (changes: Partial<Components.PostgresBackupArgs>) =>
  declare(false, () => [make(changes).outputs]);

test("recipients stand in the block, since they are public", async () => {
  const { Encryption } = components;
  const text = plainText(await backup({ encryption: Encryption.recipients([RECIPIENT, OTHER]) }));
  assert(/AGE_RECIPIENTS: /.test(text) && text.includes(`${RECIPIENT},${OTHER}`));
  assert.doesNotMatch(text, /PASSPHRASE/);
});

test("a passphrase is a secret of Kamal's and never shown", async () => {
  const text = plainText(
    await backup({ encryption: components.Encryption.passphrase(pulumi.output("correct horse")) }),
  );
  assert(text.includes("PASSPHRASE:DB_BACKUP_PASSPHRASE"));
  assert.doesNotMatch(text, /correct horse/);
});

test("a wrong key or passphrase is refused in one sentence", () => {
  const { Encryption } = components;
  const wrong = `${RECIPIENT.slice(0, -1)}q`;
  assert.throws(() => Encryption.recipient(wrong), /is no age recipient.*age-keygen/);
  assert.throws(() => Encryption.recipients([]), /give at least one age recipient/);
  assert.throws(() => Encryption.recipients([RECIPIENT, RECIPIENT]), /stands twice/);
  assert.throws(
    () => Encryption.recipient("AGE-SECRET-KEY-1QQQQ"),
    (error: Error) =>
      /the private one was given/.test(error.message) && !/QQQQ/.test(error.message),
  );
  assert.throws(
    () => Encryption.passphrase("  "),
    /Encryption\.passphrase: the passphrase is empty/,
  );
});
