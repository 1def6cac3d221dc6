import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { declareBackup } from "../../stacks/program.ts";
import { DEPLOY, layOutApplication, SECRETS } from "../components/application.ts";
import { declare } from "../components/mocks.ts";

/** What a preview refuses in a stack's configuration. The same on the real command line: `journeys/faults`. */
let folder: string;
before(() => {
  folder = layOutApplication(DEPLOY, SECRETS);
});
after(() => rmSync(folder, { recursive: true }));

const BUCKET =
  '{ "name": "shop-backups", "endpoint": "https://s3.fr-par.scw.cloud", "region": "fr-par" }';

function preview(settings: Record<string, string | undefined>): Promise<unknown> {
  const config = {
    kamalConfig: join(folder, "config/deploy.yml"),
    database: "shop_production",
    hostKeys: '{ "192.0.2.10": "ssh-ed25519 AAAA" }',
    sshPrivateKey: "the-private-key\n",
    accessKeyId: "SCWEXAMPLE",
    secretAccessKey: "the-secret-key",
    existingBucket: BUCKET,
    ...settings,
  };
  return declare(true, () => {
    for (const [name, value] of Object.entries(config)) {
      if (value !== undefined) pulumi.runtime.setConfig(`kamal-postgres-backup:${name}`, value);
    }
    return [declareBackup().outputs];
  }).finally(() => pulumi.runtime.setAllConfig({}));
}

test("the configuration that the others are made of is taken", () => preview({}).then(() => {}));

for (const [what, settings, sentence] of [
  [
    "a deploy.yml that is not there",
    () => ({ kamalConfig: "/nowhere/deploy.yml" }),
    /kamal-postgres-backup:kamalConfig: \/nowhere\/deploy\.yml does not exist.*Give the path/,
  ],
  [
    "a deploy.yml that cannot be read",
    () => ({ kamalConfig: folder }),
    /kamal-postgres-backup:kamalConfig: .* cannot be read \(EISDIR\)/,
  ],
  ["a schedule that is none", () => ({ schedule: "sometimes" }), /schedule.*sometimes/i],
  [
    "no scheme in the endpoint of a bucket made here",
    () => ({ existingBucket: undefined, s3Endpoint: "s3.fr-par.scw.cloud" }),
    /has no scheme.*; did you mean https:\/\/s3\.fr-par\.scw\.cloud/,
  ],
] as const) {
  test(`refused: ${what}`, () => assert.rejects(preview(settings()), sentence));
}
