import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { ConfigMap, Deployment } from "@pulumi/pulumi/automation/index.js";
import { declareBackup } from "../../stacks/program.ts";
import { standIn } from "../support/compatible.ts";
import { openProject, type Project } from "../support/engineProject.ts";
import type { TestStore } from "../support/servers/store.ts";

/**
 * The state of a sandbox of 29 November 2026 (eddc48b), as \`pulumi stack export --show-secrets\` printed it, with made-up keys and
 * addresses, without times and positions in the source. After a release: the same of the release's tag.
 */
const OLDER = "test/engine/olderState.json";

let application: string;
let project: Project;

const DEPLOY = `service: shop
image: sandbox/shop
servers:
  web: [192.0.2.10]
registry:
  server: registry.example.com
  username: sandbox
  password: [KAMAL_REGISTRY_PASSWORD]
builder: { arch: amd64 }
ssh:
  user: root
  port: 2222
  keys_only: true
  keys: [KEY]
accessories:
  db:
    image: registry.example.com/postgres:17
    host: 192.0.2.10
    env:
      clear: { POSTGRES_USER: app, POSTGRES_DB: app_production }
      secret: [POSTGRES_PASSWORD]
`;

before(async () => {
  application = mkdtempSync(join(tmpdir(), "upgrade-"));
  const write = (path: string, text: string) =>
    writeFileSync(join(application, path), text, { mode: 0o600 });
  mkdirSync(join(application, "config"));
  mkdirSync(join(application, ".kamal"));
  const { privateKey } = generateKeyPairSync("ed25519");
  write("id_ed25519", String(privateKey.export({ type: "pkcs8", format: "pem" })));
  write("config/deploy.yml", DEPLOY.replace("KEY", join(application, "id_ed25519")));
  write(
    ".kamal/secrets",
    "KAMAL_REGISTRY_PASSWORD=registry-password\nPOSTGRES_PASSWORD=database-password\n",
  );
  const settings = {
    name: "shop",
    kamalConfig: join(application, "config/deploy.yml"),
    database: "app_production",
    schedule: "15 3 * * *",
    retentionDays: "30",
    ageRecipients: "age1kt7tpqzdt6ds84lt52tar4yjrkcvzcxkvnjh65y2ukl93jwquapsmx83cc",
    baseImage: "registry.example.com/base/node:24",
    hostKeys: JSON.stringify({
      "192.0.2.10":
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
    }),
    s3Endpoint: "http://198.51.100.8:8333",
    s3AllowInsecure: "true",
  };
  const config: ConfigMap = { "aws:region": { value: "us-east-1" } };
  for (const [name, value] of Object.entries(settings)) {
    config[`kamal-postgres-backup:${name}`] = { value };
  }
  // A preview without a refresh asks no service and no host.
  const nowhere = { endpoint: "http://127.0.0.1:9", accessKeyId: "x", secretAccessKey: "x" };
  project = await openProject(
    ["aws", "command", "docker"],
    standIn(nowhere as TestStore),
    config,
    "warm",
  );
  const older = readFileSync(OLDER, "utf8").replaceAll("{app}", application);
  await project.take(JSON.parse(older) as Deployment);
});
after(async () => {
  await project?.close();
  if (application !== undefined) rmSync(application, { recursive: true, force: true });
});

test("an older version's stack goes on: the container is booted anew, and nothing else is touched or replaced", async () => {
  const { steps, inputs } = await project.preview(async () => {
    declareBackup();
  });
  const changed = Object.entries(steps).filter(([, step]) => step !== "same");
  assert.deepEqual(
    Object.fromEntries(changed),
    {
      "shop-agent-image": "update",
      "shop-block": "update",
      "shop-boot-192.0.2.10": "update",
      "shop-state-192.0.2.10": "update",
    },
    JSON.stringify(inputs, undefined, 2),
  );
  assert.ok(Object.keys(steps).length > 20, Object.keys(steps).join());
});
