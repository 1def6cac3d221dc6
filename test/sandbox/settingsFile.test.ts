import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { writeSettings } from "../../sandbox/stack/settingsFile.ts";

test("settings are written over those that stand there, or over another file's; the secrets' salt stays", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "settings-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const [file, usual] = [join(folder, "Pulumi.sandbox.yaml"), join(folder, "usual.yaml")];
  writeFileSync(usual, 'config:\n  shop:days: 30\n  shop:schedule: "15 3 * * *"\n');
  writeFileSync(file, "encryptionsalt: v1:salt\nconfig:\n  shop:days: 30\n  shop:name: shop\n");
  const there = () => parse(readFileSync(file, "utf8"));

  const several = { days: "7", name: undefined, "pulumi:disable-default-providers": '["*"]' };
  writeSettings(file, "shop", several);
  assert.deepEqual(there(), {
    encryptionsalt: "v1:salt",
    config: { "shop:days": "7", "pulumi:disable-default-providers": '["*"]' },
  });

  writeSettings(file, "shop", { name: "blog" }, usual);
  assert.deepEqual(there(), {
    encryptionsalt: "v1:salt",
    config: { "shop:days": 30, "shop:schedule": "15 3 * * *", "shop:name": "blog" },
  });
});
