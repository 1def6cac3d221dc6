import assert from "node:assert/strict";
import { test } from "node:test";
import { type KitBackup, kitOf } from "../../../cli/recovery/kit.ts";
import { kitHtml, kitText } from "../../../cli/recovery/kitPage.ts";
import { EXAMPLE, stockCommands } from "../../../cli/recovery/stockTools.ts";
import { drillRecord } from "../../support/manifest.ts";
import { entryOf, manifestOf, outputs } from "../support/factories.ts";

const RECIPIENT = "age1examplekey";
const stamp = "2026-11-24T03:15:02";
const now = new Date("2026-11-30T12:00:00Z");
const encrypted = { ...outputs, encrypts: true };
const backup = (over: Partial<KitBackup> = {}): KitBackup => ({
  database: "shop_production",
  newest: entryOf(stamp),
  manifest: { ...manifestOf(stamp), encryption: "age", recipients: [RECIPIENT] },
  drills: [],
  ...over,
});
const fact = (name: string, ...backups: KitBackup[]) =>
  kitOf(encrypted, "AKIAREADER", backups, now).facts.find(([one]) => one === name)?.[1];

test("the kit has the page's own commands with the values of this stack, and the reader's key id", () => {
  const { commands, facts } = kitOf(encrypted, "AKIAREADER", [backup()], now);
  assert.equal(
    commands,
    stockCommands({
      ...EXAMPLE,
      accessKeyId: "AKIAREADER",
      bucket: "shop-backups-4f2a",
      prefix: "shop/production",
      database: "shop_production",
      stamp,
    }),
  );
  assert.deepEqual(Object.fromEntries(facts), {
    bucket: "shop-backups-4f2a",
    folder: "shop/production",
    region: "eu-west-3",
    endpoint: "https://s3.eu-west-3.amazonaws.com",
    "key that reads": "AKIAREADER",
    PostgreSQL: "17",
    encrypted: `for ${RECIPIENT}`,
    "newest of shop_production": "2026-11-24 03:15:02 UTC",
    proved:
      "no drill has opened a backup with its identity yet. Run: npx kamal-postgres-backup drill",
  });
});

test("a backup in a tier is looked for in its folder, and a passphrase is asked for by age itself", () => {
  const key = `shop/production/daily/shop_production_${stamp}.dump.zst.age`;
  const tiered = backup({
    newest: entryOf(stamp, { key }),
    manifest: { ...manifestOf(stamp), encryption: "age" },
  });
  const { commands, blanks } = kitOf(encrypted, "AKIAREADER", [tiered], now);
  assert.match(commands, /^FOLDER=s3:\/\/shop-backups-4f2a\/shop\/production\/daily$/m);
  assert.match(commands, /\*\.age\) age --decrypt "\$1"/);
  assert.ok(blanks.includes("The passphrase is in"));
  assert.equal(fact("encrypted", tiered), "with a passphrase");
});

test("it says whether a drill has opened a backup with the identity that is kept", () => {
  const drill = drillRecord({ database: "shop_production" });
  const proved = (over: Partial<typeof drill>) =>
    fact("proved", backup({ drills: [{ ...drill, ...over }] }));
  assert.equal(
    proved({ openedWith: RECIPIENT }),
    `a drill has restored shop_production with the identity of ${RECIPIENT} on 2026-11-24`,
  );
  for (const over of [
    { openedWith: "age1another" },
    { openedWith: null },
    { openedWith: RECIPIENT, verdict: "failed" as const },
    { openedWith: RECIPIENT, upgradeTo: 18 },
  ]) {
    assert.match(proved(over) ?? "", /^no drill has opened/, JSON.stringify(over));
  }
});

test("each further database has its line, quoted for the shell", () => {
  const other = backup({ database: "it's", newest: undefined, manifest: undefined });
  const { others } = kitOf(encrypted, "AKIAREADER", [backup(), other], now);
  assert.deepEqual(others, ["For it's take DATABASE='it'\\''s'."]);
  assert.equal(fact("newest of it's", backup(), other), "none that counts");
});

test("the text has the commands as they are typed, and lines to fill in", () => {
  const kit = kitOf(encrypted, "AKIAREADER", [backup()], now);
  const text = kitText(kit);
  assert.ok(text.endsWith(kit.commands));
  assert.match(text, new RegExp(`^ {2}The age identity of ${RECIPIENT} is in: _{30}$`, "m"));
});

test("the HTML file loads nothing, runs nothing, and escapes what it shows", () => {
  const hostile = backup({ database: '<script src="https://example.com/x">' });
  const kit = kitOf(encrypted, "AKIAREADER", [hostile], now);
  const page = kitHtml(kit);
  assert.doesNotMatch(page, /<script|<link|<img|@import|url\(/);
  assert.match(page, /&lt;script src=&quot;https:\/\/example\.com\/x&quot;&gt;/);
  const [, code = ""] = /<pre><code>([\s\S]*)<\/code><\/pre>/.exec(page) ?? [];
  const shown = code
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&#39;", "'")
    .replaceAll("&amp;", "&");
  assert.equal(`${shown}\n`, kit.commands);
});
