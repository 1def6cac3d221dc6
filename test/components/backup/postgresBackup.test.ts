import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type * as Components from "../../../components/index.ts";
import { deployYml, layOutApplication, REGISTRY } from "../application.ts";
import {
  type Declared,
  declare,
  inputs,
  isSecret,
  plainText,
  SECRET_KEY,
  SIGNING_KEY,
} from "../mocks.ts";

const PASSWORD = "the-database-password";
const REGISTRY_PASSWORD = "the-registry-password";
const PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nthe-private-key\n";

const KEYS = { accessKeyId: "SCWEXAMPLE", secretAccessKey: "the-secret-key" };

let folder: string;
let components: typeof Components;
before(async () => {
  folder = layOutApplication(
    deployYml({
      head: `${REGISTRY}ssh:\n  user: deploy\n`,
      clear: { POSTGRES_USER: "shop", POSTGRES_DB: "shop_production" },
    }),
    `POSTGRES_PASSWORD='${PASSWORD}'\nKAMAL_REGISTRY_PASSWORD='${REGISTRY_PASSWORD}'\n`,
  );
  components = await import("../../../components/index.ts");
});
after(() => rmSync(folder, { recursive: true }));

function backup(changes: Partial<Components.PostgresBackupArgs> = {}): Promise<Declared[]> {
  return declare(false, () => [make(changes).outputs]);
}

function make(changes: Partial<Components.PostgresBackupArgs> = {}): Components.PostgresBackup {
  const { AwsBackupBucket, PostgresBackup, Retention, Schedule } = components;
  return new PostgresBackup("shop", {
    kamal: { config: join(folder, "config/deploy.yml") },
    bucket: new AwsBackupBucket("shop-backups", { retention: Retention.days(30) }),
    schedule: Schedule.daily("03:15"),
    ssh: { hostKeys: { "192.0.2.10": "ssh-ed25519 AAAA" }, privateKey: PRIVATE_KEY },
    ...changes,
  });
}

const RESOURCES = [
  "aws:iam/accessKey:AccessKey",
  "aws:iam/user:User",
  "aws:iam/userPolicy:UserPolicy",
  "aws:s3/bucket:Bucket",
  "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
  "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
  "aws:s3/bucketPolicy:BucketPolicy",
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
  "aws:s3/bucketVersioning:BucketVersioning",
  "command:remote:Command",
  "docker:index/image:Image",
  "kamal-postgres-backup:index:AgentImage",
  "kamal-postgres-backup:index:AwsBackupBucket",
  "kamal-postgres-backup:index:BackupKeys",
  "kamal-postgres-backup:index:KamalAccessory",
  "kamal-postgres-backup:index:PostgresBackup",
  "pulumi-nodejs:dynamic/kamal-postgres-backup:AccessoryState",
  "pulumi-nodejs:dynamic/kamal-postgres-backup:KeyProbe",
  "pulumi-nodejs:dynamic/kamal-postgres-backup:RenderedBlock",
  "pulumi-nodejs:dynamic/kamal-postgres-backup:SecretsBlock",
  "pulumi-nodejs:dynamic/kamal-postgres-backup:SigningKey",
];

test("a backup on AWS declares these resources, and each child's name begins with its component's", async () => {
  const declared = await backup();
  assert.deepEqual([...new Set(declared.map(({ type }) => type))].toSorted(), RESOURCES);
  for (const { name } of declared) assert.match(name, /^shop/);
});

test("at preview nothing throws on what is not known yet", async () => {
  const declared = await declare(true, () => [make().outputs]);
  const types = new Set(declared.map(({ type }) => type));
  assert.ok(types.has("kamal-postgres-backup:index:PostgresBackup"));
  assert.ok(types.has("docker:index/image:Image"));
});

test("the image is built for the application's processor, beside its own image", async () => {
  const { imageName, build } = inputs(await backup(), "docker:index/image:Image");
  assert.match(String(imageName), /^registry\.example\.com\/shop-db-backup:pg17-/);
  assert.equal((build as { platform?: string }).platform, "linux/amd64");
});

test("no secret is handed to the engine in plain", async () => {
  const declared = await backup();
  for (const { type, name, inputs: given } of declared) {
    const text = plainText(given);
    for (const secret of [
      PASSWORD,
      REGISTRY_PASSWORD,
      "the-private-key",
      SECRET_KEY,
      SIGNING_KEY,
    ]) {
      assert.ok(!text.includes(secret), `${type} ${name} has a secret in plain: ${text}`);
    }
  }
  const boot = declared.find(({ type }) => type === "command:remote:Command");
  assert.ok(isSecret(boot?.inputs["stdin"]));
  assert.equal(boot?.inputs["addPreviousOutputInEnv"], false);
  assert.equal(boot?.inputs["logging"], "none");
  assert.equal(boot?.inputs["triggers"], undefined);
});

test("the container is booted by our own client before the command resource comes to the host, and both take one connection", async () => {
  const declared = await backup();
  const at = (type: string) => declared.findIndex((resource) => resource.type.endsWith(type));
  assert.ok(at(":AccessoryState") < at("remote:Command"));
  const target = plainText(declared[at(":AccessoryState")]?.inputs["target"]);
  assert.equal(target, plainText(declared[at("remote:Command")]?.inputs["connection"]));
  const connection = JSON.stringify(declared[at("remote:Command")]?.inputs["connection"]);
  assert.match(connection, /"hostKey":"ssh-ed25519 /);
  assert.match(connection, /"privateKey":"/);
  assert.doesNotMatch(connection, /keyIsGiven/, "an unknown field would be printed with the key");
});

test("the rendered block is public, names no secret's value and pins the image by digest", async () => {
  const declared = await backup();
  const block = declared.find(({ type }) => type.endsWith(":RenderedBlock"))?.inputs["block"];
  assert.equal(typeof block, "string");
  assert.match(block as string, /image: .*@sha256:/);
  assert.match(block as string, /POSTGRES_DATABASE: shop_production/);
  assert.match(block as string, /- S3_SECRET_ACCESS_KEY:DB_BACKUP_S3_SECRET_ACCESS_KEY/);
});

test("a destination gets a container of its own, because Kamal's names lack it", async () => {
  writeFileSync(
    join(folder, "config/deploy.staging.yml"),
    "env:\n  clear:\n    RAILS_ENV: staging\n",
  );
  writeFileSync(
    join(folder, ".kamal/secrets.staging"),
    `POSTGRES_PASSWORD='${PASSWORD}'\nKAMAL_REGISTRY_PASSWORD='${REGISTRY_PASSWORD}'\n`,
  );
  const declared = await backup({
    kamal: { config: join(folder, "config/deploy.yml"), destination: "staging" },
  });
  const state = declared.find(({ type }) => type.endsWith(":AccessoryState"));
  assert.equal(state?.inputs["container"], "shop-staging-db_backup");
  assert.equal(state?.inputs["envFile"], ".kamal/apps/shop-staging/env/accessories/db_backup.env");
  const block = declared.find(({ type }) => type.endsWith(":RenderedBlock"));
  assert.equal(block?.inputs["file"], join(folder, "config/deploy.staging.yml"));
});

test("in a secrets file for all destinations each has a block and names of its own, whatever the program calls its backup", async () => {
  const settings = "env:\n  clear:\n    RAILS_ENV: other\n";
  const written = [];
  for (const destination of ["production", "staging"]) {
    writeFileSync(join(folder, `config/deploy.${destination}.yml`), settings);
    const secrets = `POSTGRES_PASSWORD='${PASSWORD}'\nKAMAL_REGISTRY_PASSWORD='${REGISTRY_PASSWORD}'\n`;
    writeFileSync(join(folder, `.kamal/secrets.${destination}`), secrets);
    const secretsFile = join(folder, ".kamal/secrets-common");
    const declared = await backup({
      kamal: { config: join(folder, "config/deploy.yml"), destination, secretsFile },
    });
    const secretsBlock = declared.find(({ type }) => type.endsWith(":SecretsBlock"))?.inputs;
    const block = declared.find(({ type }) => type.endsWith(":RenderedBlock"))?.inputs["block"];
    const [, from] = /- S3_ACCESS_KEY_ID:(\w+)/.exec(block as string) ?? [];
    assert.match(JSON.stringify(secretsBlock?.["block"]), new RegExp(`${from}='`));
    written.push([secretsBlock?.["name"], from]);
  }
  assert.deepEqual(written, [
    ["shop-production", "DB_BACKUP_PRODUCTION_S3_ACCESS_KEY_ID"],
    ["shop-staging", "DB_BACKUP_STAGING_S3_ACCESS_KEY_ID"],
  ]);
});

test("secrets as look-ups of the stack's outputs: a line for each, and an output for each line, whatever is declared", async () => {
  const elsewhereAsWell = { name: "shop-copies", region: "fr-par", ...KEYS };
  const { Encryption } = components;
  const kamal = { config: join(folder, "config/deploy.yml"), secrets: "outputs" } as const;
  const arrangements: Record<string, Partial<Components.PostgresBackupArgs>> = {
    little: {},
    "much, and a password that Kamal does not know": {
      copy: { bucket: elsewhereAsWell },
      encryption: Encryption.passphrase("correct horse"),
      notices: { pingUrl: "https://example.com/p", webhookUrl: "https://example.com/w" },
      postgres: { password: "another" },
    },
    "recipients have no secret": {
      encryption: Encryption.recipient(
        "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p",
      ),
    },
  };
  for (const [what, changes] of Object.entries(arrangements)) {
    let names: string[] = [];
    const declared = await declare(false, () => {
      const made = make({ ...changes, kamal });
      names = Object.keys(made.secretOutputs);
      return [made.outputs, ...Object.values(made.secretOutputs)];
    });
    const written = inputs(declared, ":SecretsBlock");
    assert.equal(written["confidential"], false, what);
    const lines = (written["block"] as { value: string }).value.trimEnd().split("\n");
    assert.deepEqual(
      lines.toSorted(),
      names
        .map(
          (name) =>
            `${name}=$(pulumi stack output ${name} --stack organization/kamal-postgres-backup/test --show-secrets)`,
        )
        .toSorted(),
      what,
    );
  }
});

test("secrets that are written down are no outputs", () => {
  assert.deepEqual(make().secretOutputs, {});
});

test("transform reaches a child's arguments", async () => {
  const declared = await backup({ transform: { keys: { user: { path: "/backups/" } } } });
  assert.equal(declared.find(({ name }) => name === "shop-keys-user")?.inputs["path"], "/backups/");
});

test("a bucket elsewhere gives the container its writer's key, and what its lock and tiers ask of it", async () => {
  const declared = await declare(false, () => [make({ bucket: elsewhere() }).outputs]);
  assert.ok(!declared.some(({ type }) => type.startsWith("aws:iam/")));
  const block = declared.find(({ type }) => type.endsWith(":RenderedBlock"))?.inputs["block"];
  assert.match(block as string, /S3_ENDPOINT: https:\/\/s3\.fr-par\.scw\.cloud/);
  assert.match(block as string, /S3_CHECKSUMS: when-supported/);
  assert.match(block as string, /BACKUP_TIERS: ["']?true/);
  assert.doesNotMatch(plainText(declared), /of-the-administrator/);
});

test("a bucket elsewhere has its writer's key tried, never made or replaced", async () => {
  const declared = await declare(false, () => [
    make({ bucket: elsewhere(30), keys: { access: "append-only" } }).outputs,
  ]);
  const probe = declared.find(({ type }) => type.endsWith(":KeyProbe"))?.inputs;
  assert.deepEqual(
    [probe?.["accessKeyId"], probe?.["bucket"], probe?.["access"]],
    ["SCWWRITER", "shop-backups", "append-only"],
  );
  await assert.rejects(
    declare(false, () => [make({ bucket: elsewhere(), keys: { rotateAfter: 1 } }).outputs]),
    /keys\.rotateAfter: .* only their owner can rotate them/,
  );
});

function elsewhere(days?: number): Components.S3CompatibleBucket {
  const { Retention, S3CompatibleBucket } = components;
  return new S3CompatibleBucket("shop-backups", {
    name: "shop-backups",
    endpoint: "https://s3.fr-par.scw.cloud",
    region: "fr-par",
    prefix: "shop",
    retention: days
      ? Retention.days(days)
      : Retention.tiers({ daily: 14, weekly: 60, monthly: 365 }),
    lock: { mode: "governance", days: 7 },
    administrator: { accessKeyId: "SCWADMIN", secretAccessKey: "of-the-administrator" },
    writer: { accessKeyId: "SCWWRITER", secretAccessKey: SECRET_KEY },
  });
}

test("a backup outside the folder of the bucket's rules is refused: it would never expire", async () => {
  const program = () => {
    const { AwsBackupBucket, Retention } = components;
    const args = { retention: Retention.days(30), prefix: "blog" };
    return [make({ bucket: new AwsBackupBucket("shop-backups", args) }).outputs];
  };
  await assert.rejects(declare(false, program), /backups would go to "shop".* for "blog"/);
});

const REFUSED: Record<string, [Partial<Components.PostgresBackupArgs>, RegExp]> = {
  "a schedule that is none": [{ schedule: "sometimes" }, /schedule "sometimes"/],
  "an image without tag and digest": [
    { image: "registry.example.com/db-backup" },
    /image: .*neither a tag nor a digest/,
  ],
  "a host key that is not known": [
    { ssh: { privateKey: PRIVATE_KEY } },
    /ssh\.hostKeys: .*192\.0\.2\.10/,
  ],
  "an accessory that is not there": [
    { kamal: { config: "CONFIG", databaseAccessory: "mysql" } },
    /kamal\.databaseAccessory: .*"mysql"/,
  ],
};
for (const [what, [changes, sentence]] of Object.entries(REFUSED)) {
  test(`refused at once: ${what}`, async () => {
    const kamal = changes.kamal && { ...changes.kamal, config: join(folder, "config/deploy.yml") };
    await assert.rejects(backup({ ...changes, ...(kamal && { kamal }) }), sentence);
  });
}

test("refused at once: a schedule that the bucket's retention does not bridge", async () => {
  const program = () => {
    const { AwsBackupBucket, Retention } = components;
    const bucket = new AwsBackupBucket("shop-short", { retention: Retention.days(7) });
    return [make({ bucket, schedule: "0 3 1 * *" }).outputs];
  };
  await assert.rejects(
    declare(true, program),
    /schedule and retention contradict each other\n {2}given {3}.*7 days\n {2}then .*no backup exists\n {2}do .*62 days/,
  );
});

const GIVEN = {
  name: "shop-backups",
  endpoint: "https://s3.fr-par.scw.cloud",
  region: "fr-par",
  accessKeyId: "SCWEXAMPLE",
  secretAccessKey: SECRET_KEY,
};

test("given keys are probed, and never stand in plain in what the probe is handed", async () => {
  const declared = await backup({ bucket: GIVEN });
  const probe = declared.find(({ type }) => type.endsWith(":KeyProbe"));
  assert.equal(probe?.inputs["access"], "restorable");
  assert.ok(isSecret(probe?.inputs["secretAccessKey"]));
  assert.ok(!plainText(declared).includes(SECRET_KEY));
});

test("refused at once: a rotation of keys that were given", async () => {
  await assert.rejects(
    backup({ bucket: GIVEN, keys: { rotateAfter: "2026-12" } }),
    /keys\.rotateAfter: .*only their owner can rotate them/,
  );
});
