import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import { toEnvironment } from "../../common/contracts/agentEnvironment/environment.ts";
import type { BackupOutputs } from "../../common/contracts/stackOutputs.ts";
import { checkedSettings } from "../../components/backup/agentSettings.ts";
import { type ResolvedBackup, resolveBackup } from "../../components/backup/resolveBackup.ts";
import { settingNamesOf } from "../../components/pulumi/settingNames.ts";
import { writeMarkedBlock } from "../../kamal/markedBlock.ts";
import { backupArgs, declareBackup } from "../../stacks/program.ts";
import { DEPLOY, layOutApplication, SECRETS, settingsWith } from "../components/application.ts";
import { declare, inputs, isSecret, overhear, SIGNING_KEY } from "../components/mocks.ts";
import { blocksOf } from "../project/documents/markdown.ts";

let folder: string;
before(() => {
  folder = layOutApplication(DEPLOY, SECRETS);
});
after(() => rmSync(folder, { recursive: true }));

function configure(settings: Record<string, string>): void {
  const config = {
    kamalConfig: join(folder, "config/deploy.yml"),
    database: "shop_production",
    hostKeys: '{ "192.0.2.10": "ssh-ed25519 AAAA" }',
    sshPrivateKey: "the-private-key\n",
    accessKeyId: "SCWEXAMPLE",
    secretAccessKey: "the-secret-key",
    ...settings,
  };
  for (const [name, value] of Object.entries(config)) {
    pulumi.runtime.setConfig(`kamal-postgres-backup:${name}`, value);
  }
}

/** The block and the outputs of a stack with this configuration. */
async function configured(settings: Record<string, string>, preview = false) {
  let outputs: BackupOutputs | undefined;
  const resources = await declare(preview, () => {
    configure(settings);
    return [
      declareBackup().outputs.apply((value) => {
        outputs = value;
      }),
    ];
  }).finally(() => pulumi.runtime.setAllConfig({}));
  const block = resources.find(({ type }) => type.endsWith(":RenderedBlock"))?.inputs["block"];
  return { block: String(block), outputs, resources };
}

/** The arguments that this configuration comes to. */
function backupWith(settings: Record<string, string>) {
  configure(settings);
  try {
    return backupArgs("backup", new pulumi.Config("kamal-postgres-backup"));
  } finally {
    pulumi.runtime.setAllConfig({});
  }
}

const BUCKET =
  '"name": "shop-backups", "endpoint": "https://s3.fr-par.scw.cloud", "region": "fr-par"';

test("every setting of the container that the configuration knows reaches it", async () => {
  const { block, outputs } = await configured({
    database: "all",
    excludeDatabases: "shop_cache, shop_queue",
    existingBucket: `{ ${BUCKET}, "caFile": "/etc/ssl/our-authority.pem" }`,
    keepDays: "30",
    keepAtLeast: "14",
    maxShrinkPercent: "20",
    maxRunHours: "12",
    drillRto: "1h30m",
    drillEvery: "7d",
    drillChecks: "package.json",
    pullMask: "tsconfig.json",
    transientTables: "staging.*, import_*",
    globals: "false",
    dumpOptions: "--exclude-table-data=sessions  --no-comments",
    scratch: "shop-scratch",
    databaseSslMode: "verify-full",
    databaseSslRootCertificate: "/etc/ssl/authority-of-postgres.pem",
  });
  assert.equal(outputs?.databases, "all");
  assert.deepEqual(outputs?.drill, {
    rtoMs: 5_400_000,
    everyMs: 604_800_000,
    checks: "package.json",
  });
  assert.deepEqual(outputs?.pull, { mask: "tsconfig.json" });
  for (const line of [
    /POSTGRES_BACKUP_ALL: "true"/,
    /POSTGRES_EXCLUDE_DATABASES: "?shop_cache,shop_queue"?\n/,
    /BACKUP_KEEP_DAYS: "30"/,
    /BACKUP_KEEP_AT_LEAST: "14"/,
    /BACKUP_MAX_SHRINK_PERCENT: "20"/,
    /BACKUP_MAX_RUN_HOURS: "12"/,
    /BACKUP_TRANSIENT_TABLES: "?staging\.\*,import_\*"?\n/,
    /BACKUP_GLOBALS: "false"/,
    /mount:\n *- "?type=bind,source=\/etc\/ssl\/our-authority\.pem,.*\n *- "?type=bind,source=\/etc\/ssl\/authority-of-postgres\.pem,/,
    /POSTGRES_SSL_MODE: "?verify-full"?\n/,
    /POSTGRES_SSL_ROOT_CERT: \/etc\/ssl\/authority-of-the-database\.pem\n/,
    /- shop-scratch:\/scratch\n/,
    /PGDUMP_EXTRA_OPTS: "?--exclude-table-data=sessions --no-comments"?\n/,
  ]) {
    assert.match(block, line);
  }
});

test("deploys wait for a backup where the configuration says so, with the age that it gives", async () => {
  const settings = { existingBucket: `{ ${BUCKET} }`, image: `a/b@sha256:${"4f".repeat(32)}` };
  const hook = async (more: Record<string, string>) => {
    const { resources } = await configured({ ...settings, ...more });
    return resources.find(({ type }) => type.endsWith(":DeployHook"))?.inputs;
  };
  assert.equal(await hook({}), undefined);
  const always = await hook({ beforeDeploy: "true" });
  assert.equal(always?.["file"], join(folder, ".kamal/hooks/pre-deploy"));
  assert.doesNotMatch(String(always?.["block"]), /--max-age/);
  const young = await hook({ beforeDeploy: "true", beforeDeployMaxAgeMinutes: "15" });
  assert.match(String(young?.["block"]), /--before-deploy \$revision --max-age 15"/);
  writeFileSync(join(folder, "config/deploy.staging.yml"), "service: shop\n");
  const staging = await hook({
    beforeDeploy: "true",
    destination: "staging",
    databasePassword: "pw",
  });
  assert.equal(staging?.["file"], always?.["file"], "all destinations have one hook");
  assert.deepEqual([always?.["name"], staging?.["name"]], ["backup", "backup-staging"]);
  rmSync(join(folder, "config/deploy.staging.yml"));
  await assert.rejects(
    hook({ beforeDeployMaxAgeMinutes: "15" }),
    /kamal-postgres-backup:beforeDeployMaxAgeMinutes is 15, but no deploy waits.*config set beforeDeploy true/,
  );
  await assert.rejects(
    hook({ beforeDeploy: "true", beforeDeployMaxAgeMinutes: "20000" }),
    /kamal-postgres-backup:beforeDeployMaxAgeMinutes 20000 must be a whole number from 0 to 10080/,
  );
  await assert.rejects(
    hook({ beforeDeploy: "true", beforeDeployMaxAgeMinutes: "5", keyAccess: "append-only" }),
    /beforeDeployMaxAgeMinutes and kamal-postgres-backup:keyAccess "append-only" contradict/,
  );
});

test("the container of an old backup is replaced by its name, never one that deploy.yml would boot again", async () => {
  const settings = { existingBucket: `{ ${BUCKET} }`, image: `a/b@sha256:${"4f".repeat(32)}` };
  const made = (more: Record<string, string>) => configured({ ...settings, ...more }, true);
  const { resources } = await made({ replacesContainer: "shop-s3_backup" });
  assert.equal(inputs(resources, ":AccessoryState")["replaces"], "shop-s3_backup");
  const deploy = join(folder, "config/deploy.yml");
  // As the first pulumi up has written it.
  const block = "  db_backup:\n    image: agent\n    host: 192.0.2.10\n";
  writeFileSync(deploy, writeMarkedBlock(DEPLOY, "backup", block, "accessories"));
  const own = await made({ replacesContainer: "shop-db_backup" });
  assert.equal(inputs(own.resources, ":AccessoryState")["replaces"], "shop-db_backup");
  writeFileSync(deploy, DEPLOY);
  const refusals = {
    "shop-db":
      /kamal-postgres-backup:replacesContainer "shop-db" is the container of accessories\.db /,
    "a b": /kamal-postgres-backup:replacesContainer "a b" is no name of a container/,
  };
  for (const [replacesContainer, sentence] of Object.entries(refusals)) {
    await assert.rejects(made({ replacesContainer }), sentence);
  }
  await assert.rejects(
    made({ replacesContainer: "shop-s3_backup", driver: "kamal" }),
    /replacesContainer "shop-s3_backup" and kamal-postgres-backup:driver "kamal" contradict/,
  );
});

test("who boots the container is set: with render nobody does, and the outputs say what is typed", async () => {
  const settings = { existingBucket: `{ ${BUCKET} }`, image: `a/b@sha256:${"4f".repeat(32)}` };
  const made = (driver: string) => configured({ ...settings, driver }, true);
  const ssh = await made("ssh");
  assert.equal(ssh.outputs?.reboot, undefined);
  const boot = inputs(ssh.resources, "command:remote:Command");
  assert.ok(boot["create"] && boot["delete"]);
  const render = await made("render");
  assert.equal(render.outputs?.reboot, "kamal accessory reboot db_backup");
  assert.equal(inputs(render.resources, ":AccessoryState")["kamal"], "later");
  const idle = inputs(render.resources, "command:remote:Command");
  assert.deepEqual(
    [idle["create"], idle["update"], idle["delete"]],
    [undefined, undefined, undefined],
  );
  const kamal = await made("kamal");
  assert.deepEqual(inputs(kamal.resources, ":AccessoryState")["kamal"], {
    folder,
    words: ["db_backup"],
    patience: 0,
  });
  await assert.rejects(made("docker"), /driver.*must be one of|docker/);
});

test("what deploy.yml does not say is set: server, network, host, login", async () => {
  const settings = {
    existingBucket: `{ ${BUCKET} }`,
    image: `ghcr.io/you/db-backup@sha256:${"4f".repeat(32)}`,
    service: "other",
    accessory: "backup",
    hosts: "192.0.2.10",
    databaseHost: "db.example.com",
    databasePort: "5433",
    databaseUser: "app",
    databaseMajor: "16",
    databaseNetwork: "shop-private",
    databasePassword: "pw",
    sshUser: "deploy",
    sshPort: "2222",
    sshProxy: "jump@192.0.2.10:2200",
  };
  const { block, outputs } = await configured(settings);
  assert.equal(outputs?.container, "other-backup");
  const key = { hostKey: "ssh-ed25519 AAAA" };
  assert.deepEqual(outputs?.hosts, [{ host: "192.0.2.10", port: 2222, user: "deploy", ...key }]);
  assert.deepEqual(outputs?.proxy, { host: "192.0.2.10", port: 2200, user: "jump", ...key });
  assert.match(block, /^ {2}backup:\n/);
  for (const line of [
    /network: shop-private\n/,
    /POSTGRES_HOST: db\.example\.com\n/,
    /POSTGRES_PORT: "5433"\n/,
    /POSTGRES_USER: app\n/,
  ]) {
    assert.match(block, line);
  }
});

test("two bastions in a row, one with a key of its own, are set; the resource that watches the container then removes it", async () => {
  const { outputs, resources } = await configured({
    existingBucket: `{ ${BUCKET} }`,
    build: "host",
    hostKeys:
      '{ "192.0.2.10": "ssh-ed25519 AAAA", "192.0.2.1": "ssh-ed25519 AAAAB", "192.0.2.2": "ssh-ed25519 AAAAC" }',
    sshProxy: "jump@192.0.2.1:2200,192.0.2.2",
    sshProxyKeys: '{ "192.0.2.1": "the-bastion\'s-key" }',
  });
  const first = { host: "192.0.2.1", port: 2200, user: "jump", hostKey: "ssh-ed25519 AAAAB" };
  const second = { host: "192.0.2.2", port: 22, user: "root", hostKey: "ssh-ed25519 AAAAC" };
  assert.deepEqual(outputs?.proxy, { ...second, proxy: first });
  const { target, removal } = inputs(resources, ":AccessoryState");
  assert.deepEqual((target as { value: unknown }).value, {
    host: "192.0.2.10",
    port: 22,
    user: "root",
    hostKey: "ssh-ed25519 AAAA",
    privateKey: "the-private-key\n",
    keyIsGiven: true,
    proxy: {
      ...second,
      proxy: { ...first, privateKey: "the-bastion's-key", keyIsGiven: true },
    },
  });
  assert.match(String(removal), /docker rm -f "\$name"/);
  const { create, update, delete: gone } = inputs(resources, "command:remote:Command");
  assert.deepEqual([create, update, gone], [undefined, undefined, undefined]);
});

test("point-in-time recovery is switched on by its days; the bucket's own rules need the folder too", async () => {
  const settings = {
    image: `a/b@sha256:${"4f".repeat(32)}`,
    pointInTimeKeep: "7d",
    pointInTimeBase: "0 4 * * *",
    pointInTimeRpo: "30s",
    pointInTimeServerDisk: "8GB",
  };
  const { outputs, resources } = await configured(settings);
  assert.deepEqual(outputs?.pointInTime, {
    keepDays: 7,
    rpoSeconds: 30,
    baseSchedule: "0 4 * * *",
  });
  const rules = (from: typeof resources) =>
    JSON.stringify(inputs(from, ":BucketLifecycleConfiguration")["rules"]);
  assert.doesNotMatch(rules(resources), /pitr/);
  const inFolder = await configured({ ...settings, prefix: "shop/production" });
  assert.match(rules(inFolder.resources), /"days":10\},.*"prefix":"shop\/production\/pitr\/"/);
  for (const [more, sentence] of [
    [{ pointInTimeKeep: "" }, /kamal-postgres-backup:pointInTimeBase is set, but no base/],
    [
      { pointInTimeRpo: "0s" },
      /^kamal-postgres-backup:pointInTimeRpo "0s" must be a time from 1s to 1h/,
    ],
    [
      { pointInTimeKeep: "60d", retentionDays: "30" },
      /^kamal-postgres-backup:pointInTimeKeep and kamal-postgres-backup:retentionDays contradict/,
    ],
  ] as const) {
    await assert.rejects(configured({ ...settings, ...more }), (error: Error) => {
      assert.match(error.message, sentence);
      return true;
    });
  }
});

test("the registry, the image's repository and its processor are set", async () => {
  const { resources } = await configured({
    existingBucket: `{ ${BUCKET} }`,
    registryServer: "ghcr.io",
    registryUsername: "deployer",
    registryPassword: "the-registry-password",
    imageRepository: "ghcr.io/you/nightly",
    platform: "linux/arm64",
  });
  const image = inputs(resources, "docker:index/image:Image");
  assert.match(String(image["imageName"]), /^ghcr\.io\/you\/nightly:pg17-/);
  assert.equal((image["build"] as { platform: string }).platform, "linux/arm64");
  assert.deepEqual((image["registry"] as { value: unknown }).value, {
    server: "ghcr.io",
    username: "deployer",
    password: "the-registry-password",
  });
});

test("of several databases in deploy.yml the named accessory is taken", async () => {
  const other = join(folder, "config/several.yml");
  const second =
    "  main:\n    image: postgres:16\n    host: 192.0.2.10\n    env: { secret: [POSTGRES_PASSWORD] }\n";
  writeFileSync(other, `${DEPLOY}${second}`);
  const settings = { existingBucket: `{ ${BUCKET} }`, build: "host", kamalConfig: other };
  await assert.rejects(
    configured(settings),
    /several accessories .* kamal-postgres-backup:databaseAccessory/,
  );
  const { block } = await configured({ ...settings, databaseAccessory: "main" });
  assert.match(block, /POSTGRES_HOST: shop-main\n/);
});

test("the key that signs is renewed by a word of its own, and earlier ones are a secret of the stack", async () => {
  const signingKeys = `${SIGNING_KEY},${SIGNING_KEY}`;
  const existingBucket = `{ ${BUCKET} }`;
  const settings = { existingBucket, signingRotateAfter: "2026-12", signingKeys };
  const { resources } = await configured(settings);
  const { generation, given } = inputs(resources, ":SigningKey");
  assert.equal(generation, "2026-12");
  assert.ok(isSecret(given));
  assert.deepEqual((given as { value: unknown }).value, [SIGNING_KEY, SIGNING_KEY]);
  configure(settings);
  try {
    const args = backupArgs("backup", new pulumi.Config("kamal-postgres-backup"));
    const name = settingNamesOf(args);
    assert.equal(name("signing.keys"), "kamal-postgres-backup:signingKeys");
  } finally {
    pulumi.runtime.setAllConfig({});
  }
});

test("a published image is taken instead of one that is built; Pulumi fills the defaults in", async () => {
  const image = `ghcr.io/you/db-backup@sha256:${"4f".repeat(32)}`;
  const settings = { existingBucket: `{ ${BUCKET} }`, image };
  for (const defaults of [{}, { build: "registry" }]) {
    const { block, outputs } = await configured({ ...settings, ...defaults });
    assert.ok(block.includes(`image: ${image}\n`), block);
    assert.equal(outputs?.image, image);
  }
  await assert.rejects(
    configured({ ...settings, build: "host" }),
    /postgres-backup:build "host" and kamal-postgres-backup:image "ghcr.* are both given/,
  );
  await assert.rejects(
    configured({ ...settings, image: "ghcr.io/you/db-backup" }),
    /image: .* neither a tag nor a digest/,
  );
});

test("what a backup comes to is estimated from its size", async () => {
  const existingBucket = `{ ${BUCKET} }`;
  const settings = { existingBucket, backupBytes: "20000000000" };
  const said = await overhear(() => configured(settings, true));
  assert.match(said.join("\n"), /memory "256m" does not suffice for a database of 100\.0 GB/);
});

test("the price of storage is a fraction, and nothing else is taken for one", async () => {
  const price = (usdPerGbMonth: string) =>
    backupWith({ existingBucket: `{ ${BUCKET} }`, usdPerGbMonth }).usdPerGbMonth;
  assert.equal(price("0.023"), 0.023);
  assert.equal(price(""), undefined);
  for (const wrong of ["cheap", "-1", "0,02"]) {
    assert.throws(
      () => price(wrong),
      /^Problem: kamal-postgres-backup:usdPerGbMonth ".*" is no price\. Give US dollars/,
    );
  }
});

test("no encryption, said or not; recipients beside it are refused", async () => {
  const existingBucket = `{ ${BUCKET} }`;
  const plain = await configured({ existingBucket });
  const meant = await configured({ existingBucket, ageRecipients: "none" });
  assert.equal(meant.block, plain.block);
  await assert.rejects(
    configured({ existingBucket, ageRecipients: "none, age1..." }),
    /"none" is no age recipient/,
  );
});

test("an existing bucket's own rules, in days or tiers", async () => {
  const days = await configured({ existingBucket: `{ ${BUCKET}, "retentionDays": 30 }` });
  assert.equal(days.outputs?.retentionDays, 30);
  const empty = await configured({
    existingBucket: `{ ${BUCKET}, "retentionDays": 30, "retentionTiers": null, "caFile": null, "allowInsecure": null }`,
  });
  assert.equal(empty.outputs?.retentionDays, 30);
  const tiers = '{ "daily": 7, "weekly": 35, "monthly": 365 }';
  const tiered = await configured({ existingBucket: `{ ${BUCKET}, "retentionTiers": ${tiers} }` });
  assert.equal(tiered.outputs?.tierDays?.weekly, 35);
  assert.match(tiered.block, /BACKUP_TIERS: "true"/);
  await assert.rejects(
    configured({ existingBucket: `{ ${BUCKET} }`, retentionTiers: tiers }),
    /retentionTiers is for a bucket made here/,
  );
});

test("append-only beside a rhythm of copies: the key is named as the stack has it", async () => {
  const lines = await overhear(() =>
    configured({
      existingBucket: `{ ${BUCKET} }`,
      copyBucket: `{ ${BUCKET}, "name": "shop-copies" }`,
      copyEvery: "@weekly",
      keyAccess: "append-only",
      ...COPY,
    }),
  );
  assert.match(lines.join("\n"), /or set kamal-postgres-backup:keyAccess to "restorable"/);
});

const TIERS = '{ "daily": 7, "weekly": 35, "monthly": 365 }';
const COPY = { copyAccessKeyId: "a", copySecretAccessKey: "b" };
const WRONG: Record<string, [Record<string, string>, RegExp]> = {
  "existingBucket's endpoint": [
    { existingBucket: `{ ${BUCKET}, "endpoint": "s3.example.com" }` },
    /^kamal-postgres-backup:existingBucket\.endpoint "s3\.example\.com" has no scheme/,
  ],
  "existingBucket's name": [
    { existingBucket: `{ ${BUCKET}, "name": "Shop" }` },
    /^kamal-postgres-backup:existingBucket\.name "Shop" cannot be a bucket/,
  ],
  "existingBucket without its name": [
    { existingBucket: '{ "endpoint": "https://s3.fr-par.scw.cloud", "region": "fr-par" }' },
    /^kamal-postgres-backup:existingBucket has no name\. Set it: pulumi config set --path existingBucket\.name/,
  ],
  "copyBucket without its region": [
    { existingBucket: `{ ${BUCKET} }`, copyBucket: '{ "name": "shop-copies" }', ...COPY },
    /^kamal-postgres-backup:copyBucket has no region\. Set it: pulumi config set --path copyBucket\.region/,
  ],
  "existingBucket's days": [
    { existingBucket: `{ ${BUCKET}, "retentionDays": 1 }` },
    /^kamal-postgres-backup:schedule and kamal-postgres-backup:existingBucket\.retentionDays contradict/,
  ],
  "a bucket made here, its days": [
    { retentionDays: "1" },
    /^kamal-postgres-backup:schedule and kamal-postgres-backup:retentionDays contradict/,
  ],
  "a bucket made here, its address": [
    { s3Endpoint: "http://s3.example.com" },
    /^kamal-postgres-backup:s3Endpoint .* plain http.* set kamal-postgres-backup:s3AllowInsecure: true/,
  ],
  "a bucket made here, its tiers without a folder": [
    { retentionTiers: '{ "daily": 7, "weekly": 35, "monthly": 365 }' },
    /^kamal-postgres-backup:prefix: give the folder/,
  ],
  copyBucket: [
    { existingBucket: `{ ${BUCKET} }`, copyBucket: `{ ${BUCKET}, "region": "nl-ams" }`, ...COPY },
    /^kamal-postgres-backup:copyBucket\.endpoint says fr-par, kamal-postgres-backup:copyBucket\.region says nl-ams/,
  ],
  copyEvery: [
    { copyBucket: `{ ${BUCKET} }`, copyEvery: "sometimes", ...COPY },
    /^kamal-postgres-backup:copyEvery "sometimes" cannot be read/,
  ],
  schedule: [{ schedule: "sometimes" }, /^kamal-postgres-backup:schedule "sometimes" cannot/],
  keepDays: [
    { existingBucket: `{ ${BUCKET} }`, keepDays: "-1" },
    /^kamal-postgres-backup:keepDays -1 must be/,
  ],
  metricsFile: [{ metricsFile: "x" }, /^kamal-postgres-backup:metricsFile "x" must be an absolute/],
  drillRto: [{ drillRto: "soon" }, /^kamal-postgres-backup:drillRto "soon" is no length of time/],
  "drillEvery, minutes": [
    { drillEvery: "5m" },
    /^kamal-postgres-backup:drillEvery "5m" must be an hour or more/,
  ],
  "drillEvery, longer than its record is kept": [
    { drillEvery: "30d", retentionDays: "30" },
    /^kamal-postgres-backup:drillEvery "30d" and the retention of 30 days contradict/,
  ],
  pullMask: [
    { pullMask: "nowhere.sql" },
    /^kamal-postgres-backup:pullMask: there is no file nowhere\.sql/,
  ],
  drillChecks: [
    { drillChecks: "nowhere.sql" },
    /^kamal-postgres-backup:drillChecks: there is no file nowhere\.sql/,
  ],
  memory: [{ memory: "lots" }, /^kamal-postgres-backup:memory "lots" is no size/],
  hostKeys: [{ hostKeys: "{}" }, /^kamal-postgres-backup:hostKeys: the host key of 192\.0\.2\.10/],
  kamalConfig: [{ kamalConfig: "nowhere.yml" }, /^kamal-postgres-backup:kamalConfig: nowhere\.yml/],
  "existingBucket without anything": [
    { existingBucket: "null" },
    /^kamal-postgres-backup:existingBucket is null\. Set its name and region: pulumi config set/,
  ],
  "existingBucket with a part that it does not have": [
    { existingBucket: `{ ${BUCKET}, "retentionDay": 30 }` },
    /^kamal-postgres-backup:existingBucket has retentionDay, which is none of its parts: name, .*retentionDays, .*Take it out: pulumi config rm --path existingBucket\.retentionDay/,
  ],
  "existingBucket with an empty name": [
    { existingBucket: `{ ${BUCKET}, "name": null }` },
    /^kamal-postgres-backup:existingBucket has no name\. Set it/,
  ],
  "existingBucket's endpoint, a number": [
    { existingBucket: `{ ${BUCKET}, "endpoint": 5 }` },
    /^kamal-postgres-backup:existingBucket\.endpoint is 5\. Give a text/,
  ],
  "existingBucket's plain http, a text": [
    { existingBucket: `{ ${BUCKET}, "allowInsecure": "yes" }` },
    /^kamal-postgres-backup:existingBucket\.allowInsecure is "yes"\. Give true or false/,
  ],
  "copyBucket's folder, a number": [
    { existingBucket: `{ ${BUCKET} }`, copyBucket: `{ ${BUCKET}, "prefix": 5 }`, ...COPY },
    /^kamal-postgres-backup:copyBucket\.prefix is 5\. Give a text/,
  ],
  "an endpoint with a broken escape": [
    { existingBucket: `{ ${BUCKET}, "endpoint": "https://s3.example.com/%zz" }` },
    /^kamal-postgres-backup:existingBucket\.endpoint ".*%zz" has a path with a "%"/,
  ],
  "no days": [
    { retentionDays: "0" },
    /^kamal-postgres-backup:retentionDays is 0\. Give a whole number of days from 1 to 36500/,
  ],
  "existingBucket's days, a text": [
    { existingBucket: `{ ${BUCKET}, "retentionDays": "30" }` },
    /^kamal-postgres-backup:existingBucket\.retentionDays is "30"\. Give a whole number/,
  ],
  "a tier that lacks": [
    { retentionTiers: '{ "daily": 7 }', prefix: "shop" },
    /^kamal-postgres-backup:retentionTiers\.weekly is missing\. Give a whole number/,
  ],
  "a tier, a text": [
    { retentionTiers: '{ "daily": "7" }', prefix: "shop" },
    /^kamal-postgres-backup:retentionTiers\.daily is "7"\. Give a whole number/,
  ],
  "no tiers": [
    { existingBucket: `{ ${BUCKET}, "retentionTiers": 7 }` },
    /^kamal-postgres-backup:existingBucket\.retentionTiers is 7\. Give the days of each tier/,
  ],
  "tiers in the wrong order": [
    { retentionTiers: '{ "daily": 7, "weekly": 3, "monthly": 365 }', prefix: "shop" },
    /^kamal-postgres-backup:retentionTiers .*"weekly":3.*: a weekly backup must be kept/,
  ],
  "append-only with tiers": [
    { retentionTiers: TIERS, prefix: "shop", keyAccess: "append-only" },
    /^kamal-postgres-backup:keyAccess "append-only" and retention tiers .* \(kamal-postgres-backup:retentionTiers\)\.$/,
  ],
  "keepDays beside a shorter retention": [
    { existingBucket: `{ ${BUCKET}, "retentionDays": 30 }`, keepDays: "90" },
    /^kamal-postgres-backup:keepDays and kamal-postgres-backup:existingBucket\.retentionDays contradict/,
  ],
  "keepDays beside tiers": [
    { existingBucket: `{ ${BUCKET}, "retentionTiers": ${TIERS} }`, keepDays: "90" },
    /keepDays and retention tiers .*\(kamal-postgres-backup:existingBucket\.retentionTiers\)/,
  ],
  "a bucket made here, a folder in its address": [
    { s3Endpoint: "http://localhost:9000/folder" },
    /^kamal-postgres-backup:s3Endpoint has a path "\/folder".*use http:\/\/localhost:9000\. .*kamal-postgres-backup:prefix\.$/,
  ],
  "a bucket made here, a bucket in its address": [
    { s3Endpoint: "https://shop.s3.fr-par.scw.cloud" },
    /^kamal-postgres-backup:s3Endpoint names the bucket "shop".* Use https:\/\/s3\.fr-par\.scw\.cloud\.$/,
  ],
  baseImage: [
    { existingBucket: `{ ${BUCKET} }`, build: "host", baseImage: "x y" },
    /^kamal-postgres-backup:baseImage "x y" is no image reference/,
  ],
  ageRecipients: [
    { existingBucket: `{ ${BUCKET} }`, ageRecipients: "age1x" },
    /^kamal-postgres-backup:ageRecipients: "age1x" is no age recipient/,
  ],
  backupBytes: [{ backupBytes: "-1" }, /^kamal-postgres-backup:backupBytes is -1; give a number/],
  destination: [
    { destination: "nope" },
    /^kamal-postgres-backup:destination: .*deploy\.nope\.yml does not exist\. Give the name of a destination/,
  ],
  rotateAfter: [
    { existingBucket: `{ ${BUCKET} }`, rotateAfter: "2" },
    /^kamal-postgres-backup:rotateAfter: .* take kamal-postgres-backup:rotateAfter out/,
  ],
};
for (const [what, [settings, sentence]] of Object.entries(WRONG)) {
  test(`refused under the name that the configuration has for it: ${what}`, () =>
    assert.rejects(configured(settings, true), (error: Error) => {
      assert.match(error.message, sentence);
      return true;
    }));
}

test("a secret that Kamal would alter is named as the configuration has it", () => {
  configure({
    existingBucket: `{ ${BUCKET} }`,
    copyBucket: `{ ${BUCKET}, "name": "shop-copies" }`,
    ...COPY,
    databasePassword: "p",
  });
  let resolved: ResolvedBackup;
  try {
    const args = backupArgs("backup", new pulumi.Config("kamal-postgres-backup"));
    resolved = resolveBackup(args, { preview: false, info: () => {}, warn: () => {} });
  } finally {
    pulumi.runtime.setAllConfig({});
  }
  const names = {
    POSTGRES_PASSWORD: "databasePassword",
    S3_ACCESS_KEY_ID: "accessKeyId",
    S3_SECRET_ACCESS_KEY: "secretAccessKey",
    COPY_S3_ACCESS_KEY_ID: "copyAccessKeyId",
    COPY_S3_SECRET_ACCESS_KEY: "copySecretAccessKey",
    PASSPHRASE: "passphrase",
    PING_URL: "pingUrl",
    WEBHOOK_URL: "webhookUrl",
  };
  assert.deepEqual(
    Object.keys(toEnvironment(settingsWith(undefined)).secret).sort(),
    Object.keys(names).sort(),
  );
  for (const [variable, name] of Object.entries(names)) {
    assert.throws(() => checkedSettings(settingsWith(variable), resolved), {
      name: "Problem",
      message: `kamal-postgres-backup:${name} (${variable}) contains a line end, which Kamal alters on the way to the container. Choose a value without it.`,
    });
  }
});

test("a mode of TLS that there is not is refused by the setting's own name", async () => {
  const existingBucket = `{ ${BUCKET} }`;
  await assert.rejects(
    configured({ existingBucket, databaseSslMode: "on" }),
    /kamal-postgres-backup:databaseSslMode "on" must be one of disable, allow, prefer/,
  );
});

test("a new container backs up at once, unless its key does not see whether there is a backup, or nobody wants it", async () => {
  const rows: [Record<string, string>, unknown][] = [
    [{}, true],
    [{ firstBackup: "true", keyAccess: "append-only" }, undefined],
    [{ firstBackup: "false" }, undefined],
  ];
  for (const [settings, wanted] of rows) {
    const { resources } = await configured(settings);
    assert.equal(inputs(resources, ":AccessoryState")["firstBackup"], wanted);
  }
});

/** The files of a stack that a page shows, and those to copy. */
const SHOWN: Readonly<Record<string, () => string[]>> = {
  "docs/quick-start.md": () => yamlOf("docs/quick-start.md"),
  "docs/providers.md": () => yamlOf("docs/providers.md"),
  "stacks/production.example.yaml": () => [readFileSync("stacks/production.example.yaml", "utf8")],
  "stacks/staging.example.yaml": () => [readFileSync("stacks/staging.example.yaml", "utf8")],
};

function yamlOf(page: string): string[] {
  const blocks = blocksOf(page).filter(({ language }) => language === "yaml");
  return blocks.map(({ lines }) => lines.join("\n")).filter((text) => text.startsWith("config:"));
}

for (const [file, texts] of Object.entries(SHOWN)) {
  test(`what ${file} shows as a stack's file declares a backup`, async () => {
    assert.notEqual(texts().length, 0);
    for (const text of texts()) {
      const { config } = parse(text) as { readonly config: Record<string, unknown> };
      const own = Object.entries(config).flatMap(([key, value]) => {
        const name = key.replace("kamal-postgres-backup:", "");
        return name.includes(":")
          ? []
          : [[name, typeof value === "string" ? value : JSON.stringify(value)]];
      });
      const settings: Record<string, string> = {
        ...Object.fromEntries(own),
        kamalConfig: join(folder, "config/deploy.yml"),
      };
      const { destination } = settings;
      if (destination !== undefined) {
        writeFileSync(join(folder, `config/deploy.${destination}.yml`), "labels: {}\n");
        writeFileSync(join(folder, `.kamal/secrets.${destination}`), SECRETS, { mode: 0o600 });
      }
      const usual = { database: "shop_production", schedule: "15 3 * * *" };
      const keys: Record<string, string> =
        settings["existingBucket"] === undefined ? { accessKeyId: "", secretAccessKey: "" } : {};
      const { outputs, resources } = await configured({ ...usual, ...keys, ...settings });
      assert.equal(outputs?.database, settings["database"] ?? "shop_production");
      const given: unknown = JSON.parse(settings["existingBucket"] ?? "{}").retentionDays;
      assert.equal(outputs?.retentionDays, given ?? config["kamal-postgres-backup:retentionDays"]);
      const made = resources.some(({ type }) => type === "aws:s3/bucket:Bucket");
      assert.equal(made, settings["existingBucket"] === undefined);
    }
  });
}
