import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { checkRecipients } from "../../../components/backup/encryption.ts";
import type * as Components from "../../../components/index.ts";
import { applied } from "../application.ts";
import { declare, inputs, overhear, plainText } from "../mocks.ts";

const RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const OTHER = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";

const app = applied();

const backup = (changes: Partial<Components.PostgresBackupArgs>) =>
  declare(false, () => [app.backup(changes).outputs]);

test("recipients stand in the block, since they are public", async () => {
  const { Encryption } = app.components;
  const text = plainText(await backup({ encryption: Encryption.recipients([RECIPIENT, OTHER]) }));
  assert(/AGE_RECIPIENTS: /.test(text) && text.includes(`${RECIPIENT},${OTHER}`));
  assert.doesNotMatch(text, /PASSPHRASE/);
});

test("a passphrase is a secret of Kamal's and never shown", async () => {
  const text = plainText(
    await backup({
      encryption: app.components.Encryption.passphrase(pulumi.output("correct horse")),
    }),
  );
  assert(text.includes("PASSPHRASE:DB_BACKUP_PASSPHRASE"));
  assert.doesNotMatch(text, /correct horse/);
});

test("that backups are stored in clear is said once, at preview, unless it is meant", async () => {
  const { Encryption } = app.components;
  const words = async (preview: boolean, encryption?: Components.Encryption) => {
    const said = await overhear(() =>
      declare(preview, () => [app.backup(encryption ? { encryption } : {}).outputs]),
    );
    return said.filter((line) => line.startsWith("encryption"));
  };
  const [notice, ...more] = await words(true);
  assert.deepEqual(more, []);
  assert.match(notice ?? "", /can read the backups: give Encryption\.recipient.*age-keygen/);
  assert.match(notice ?? "", /ageRecipients.*Encryption\.none\(\)/);
  assert.deepEqual(await words(false), []);
  for (const chosen of [
    Encryption.none(),
    Encryption.recipient(RECIPIENT),
    Encryption.passphrase("correct horse"),
  ]) {
    assert.deepEqual(await words(true, chosen), []);
  }
});

test("the outputs say whether backups are encrypted, so that one in clear is not taken for one of them", async () => {
  const { Encryption } = app.components;
  const encrypts = async (encryption?: Components.Encryption) => {
    let found: boolean | undefined;
    await declare(false, () => [
      app.backup(encryption ? { encryption } : {}).outputs.apply((outputs) => {
        found = outputs.encrypts;
      }),
    ]);
    return found;
  };
  assert.equal(await encrypts(), undefined);
  assert.equal(await encrypts(Encryption.none()), undefined);
  assert.equal(await encrypts(Encryption.recipient(RECIPIENT)), true);
  assert.equal(await encrypts(Encryption.passphrase("correct horse")), true);
});

test("no encryption, chosen or not, is the same container", async () => {
  const block = async (changes: Partial<Components.PostgresBackupArgs>) =>
    inputs(await backup(changes), ":RenderedBlock")["block"];
  assert.equal(await block({ encryption: app.components.Encryption.none() }), await block({}));
});

test("a wrong key or passphrase is refused in one sentence", () => {
  const { Encryption } = app.components;
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
    /^Problem: Encryption\.passphrase: the passphrase is empty\. Give one, best from a secret/,
  );
  const named = /^Problem: kamal-postgres-backup:ageRecipients: "age1x" is no age recipient/;
  assert.throws(() => checkRecipients(["age1x"], "kamal-postgres-backup:ageRecipients"), named);
  assert.throws(
    () => Encryption.recipients(["age1x"]),
    /^Problem: Encryption\.recipients: "age1x"/,
  );
});
