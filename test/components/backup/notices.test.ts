import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import type * as Components from "../../../components/index.ts";
import { applied } from "../application.ts";
import { declare, plainText } from "../mocks.ts";

const PING = "https://hc-ping.com/5f1c-token";

const app = applied();

const backup = (changes: Partial<Components.PostgresBackupArgs>) =>
  declare(false, () => [app.backup(changes).outputs]);

test("what the agent is told by the arguments reaches its block, and tokens stay secret", async () => {
  const declared = await backup({
    jitterSeconds: 600,
    compressionLevel: 3,
    verify: true,
    notices: {
      pingUrl: pulumi.output(PING),
      webhookUrl: "https://hooks.example.com/7a2b-token",
      metricsFile: "/var/lib/node_exporter/shop.prom",
    },
  });
  const text = plainText(declared);
  for (const part of [
    'SCHEDULE_JITTER: \\"600\\"',
    'COMPRESSION_LEVEL: \\"3\\"',
    'BACKUP_VERIFY: \\"true\\"',
    "METRICS_FILE: /var/lib/node_exporter/shop.prom",
    "PING_URL:DB_BACKUP_PING_URL",
    "WEBHOOK_URL:DB_BACKUP_WEBHOOK_URL",
    "/var/lib/node_exporter:/var/lib/node_exporter",
  ]) {
    assert(text.includes(part), `${part} in ${text}`);
  }
  assert.doesNotMatch(text, /token/);
});

test("a random delay makes the age at which a backup counts as late longer", async () => {
  const hours = async (changes: Partial<Components.PostgresBackupArgs>) => {
    let found = 0;
    await declare(false, () => [
      app.backup(changes).outputs.apply((outputs) => {
        found = outputs.rpoHours;
      }),
    ]);
    return found;
  };
  assert.equal((await hours({ jitterSeconds: 5400 })) - (await hours({})), 2);
});

describe("refused with the argument's name, and without the token", () => {
  const table: readonly [string, Partial<Components.PostgresBackupArgs>, RegExp][] = [
    [
      "plain http",
      { notices: { pingUrl: "http://example.com/5f1c-t0ken" } },
      /notices\.pingUrl is plain http to example\.com; use https/,
    ],
    [
      "no address",
      { notices: { webhookUrl: "5f1c-t0ken" } },
      /notices\.webhookUrl is not an address/,
    ],
    [
      "an unknown form",
      { notices: { webhookFormat: "irc" as never } },
      /notices\.webhookFormat is "irc"\. Give one of json, slack, teams\./,
    ],
    [
      "a relative path",
      { notices: { metricsFile: "shop.prom" } },
      /notices\.metricsFile "shop\.prom" must be an absolute path/,
    ],
    [
      "a file in the root",
      { notices: { metricsFile: "/shop.prom" } },
      /notices\.metricsFile .* in a folder/,
    ],
    ["half a second", { jitterSeconds: 0.5 }, /jitterSeconds 0\.5 must be a whole number/],
    [
      "a level from a configuration",
      { compressionLevel: 9 as unknown as 3 },
      /compressionLevel 9 must be a whole number from 1 to 3/,
    ],
  ];
  for (const [what, changes, sentence] of table) {
    test(what, () =>
      assert.rejects(backup(changes), (error: Error) => {
        assert.match(error.message, sentence);
        assert.doesNotMatch(error.message, /t0ken/);
        return true;
      }),
    );
  }
});
