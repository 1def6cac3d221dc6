import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Outside } from "../support/run.ts";

const DB = `  db:
    image: postgres:17
    host: 192.0.2.10
    env:
      clear:
        POSTGRES_USER: shop
        POSTGRES_DB: shop_production
      secret:
        - POSTGRES_PASSWORD
`;
const OLD = `  s3_backup:
    image: eeshugerman/postgres-backup-s3:17
    host: 192.0.2.10
    env:
      clear:
        SCHEDULE: "@daily"
        BACKUP_KEEP_DAYS: 30
        S3_REGION: fr-par
        S3_BUCKET: shop-backups
        S3_ENDPOINT: https://shop-backups.s3.fr-par.scw.cloud
        S3_PREFIX: shop
        POSTGRES_HOST: shop-db
        POSTGRES_USER: shop
        POSTGRES_DATABASE: shop_production
      secret:
        - POSTGRES_PASSWORD
        - S3_ACCESS_KEY_ID:OLD_KEY
        - S3_SECRET_ACCESS_KEY:OLD_SECRET
        - PASSPHRASE
`;
const REST = `
  # The cache.
  redis:
    image: redis:7
    host: 192.0.2.10
`;

interface Application {
  readonly accessories?: string;
  readonly secrets?: string;
  /** Another file by its path. */
  readonly files?: Readonly<Record<string, string>>;
}

async function lay(
  t: TestContext,
  { accessories = DB + OLD + REST, secrets, files = {} }: Application = {},
) {
  const outside = await Outside.open(t);
  const all = {
    "shop/config/deploy.yml": `service: shop\naccessories:\n${accessories}`,
    "shop/.kamal/secrets":
      secrets ??
      "POSTGRES_PASSWORD=pw\nOLD_KEY=$(op read key)\nOLD_SECRET='s'\nPASSPHRASE='correct horse'\n",
    "backup/Pulumi.yaml": "name: kamal-postgres-backup\nmain: stacks/index.ts\n",
    ...files,
  };
  for (const [path, text] of Object.entries(all)) {
    await mkdir(join(outside.folder, path, ".."), { recursive: true });
    await writeFile(join(outside.folder, path), text);
  }
  const config = join(outside.folder, "shop/config/deploy.yml");
  const run = async (...words: string[]) => {
    const cwd = join(outside.folder, "backup");
    return outside.run(["--cwd", cwd, "adopt", "--config", config, ...words]);
  };
  return { outside, config, run };
}

test("adopt shows the settings that come to the same, and changes nothing", async (t) => {
  const { outside, config, run } = await lay(t);
  const before = await readFile(config, "utf8");
  const { code, stdout, stderr } = await run();
  assert.equal(code, 0, stderr);
  for (const line of [
    /^s3_backup in .*deploy\.yml: eeshugerman\/postgres-backup-s3:17 on 192\.0\.2\.10$/m,
    /^ {2}kamalConfig: \.\.\/\.\.\/shop\/config\/deploy\.yml$/m,
    /^ {2}database: shop_production$/m,
    /^ {2}schedule: @daily$/m,
    /^ {2}existingBucket\.name: shop-backups$/m,
    /^ {2}existingBucket\.endpoint: https:\/\/shop-backups\.s3\.fr-par\.scw\.cloud$/m,
    /^ {2}prefix: shop-backups\/shop$/m,
    /^ {2}keepDays: 30$/m,
    /^ {2}databaseAccessory: db$/m,
    /^ {2}replacesContainer: shop-s3_backup$/m,
    /^ {2}passphrase: \[secret\]$/m,
    /^ {2}accessKeyId: .*not known here.*the value of Kamal's secret OLD_KEY$/m,
    /old backups were not looked for: the key is not known here/,
    /Nothing was changed\./,
  ]) {
    assert.match(stdout, line);
  }
  assert.doesNotMatch(stdout, /correct horse|databasePassword|databaseUser/);
  assert.equal(await readFile(config, "utf8"), before);
  assert.deepEqual(await outside.calls("pulumi"), []);
  const json = JSON.parse((await run("--json")).stdout);
  assert.deepEqual(json.missing, { accessKeyId: "OLD_KEY" });
  assert.deepEqual(json.secrets, ["secretAccessKey", "passphrase"]);
});

test("adopt --write sets them, secrets by standard input, and takes the accessory out, its lines alone", async (t) => {
  const { outside, config, run } = await lay(t);
  const { code, stdout, stderr } = await run("--write");
  assert.equal(code, 0, stderr);
  assert.match(
    stdout,
    /s3_backup is taken out of .*\n.*pulumi config set --secret accessKeyId\n.*pulumi up/,
  );
  assert.equal(await readFile(config, "utf8"), `service: shop\naccessories:\n${DB}${REST}`);
  const calls = await outside.calls("pulumi");
  const set = (key: string) =>
    calls.find((words) => words.includes(`kamal-postgres-backup:${key}`));
  assert.deepEqual(set("existingBucket.region")?.slice(0, 5), [
    "config",
    "set",
    "--path",
    "kamal-postgres-backup:existingBucket.region",
    "--plaintext",
  ]);
  assert.ok(set("passphrase")?.includes("--secret"));
  assert.doesNotMatch(JSON.stringify(calls), /correct horse/);
  assert.match(await readFile(join(outside.folder, "config.in"), "utf8"), /^correct horse$/m);
});

const refusals: Record<string, [application: Application, words: string[], sentence: RegExp]> = {
  "no such accessory": [
    { accessories: DB + REST },
    [],
    /no accessory of .* backs up PostgreSQL into S3 \(accessories written by hand: db, redis\)/,
  ],
  "two of them": [
    { accessories: DB + OLD + OLD.replace("s3_backup", "nightly") },
    [],
    /s3_backup, nightly of .* back up into S3\. Choose one with --accessory/,
  ],
  "a key that is not there": [
    {},
    ["--accessory", "nope"],
    /--accessory nope: .* has no such accessory/,
  ],
  "one of which another accessory takes a part": [
    {
      accessories:
        DB +
        OLD.replace("env:", "env: &shared") +
        "  cache:\n    image: redis\n    host: h\n    env: *shared\n",
    },
    ["--write", "--accessory", "s3_backup"],
    /accessories\.s3_backup cannot be taken out of its file: the rest would no longer be YAML\. Where another part .*\(an alias,/,
  ],
  "a bucket that is a secret": [
    {
      accessories:
        DB +
        OLD.replace(/ +S3_BUCKET:.*\n/, "").replace(
          "secret:\n",
          "secret:\n        - S3_BUCKET:THE_BUCKET\n",
        ),
    },
    [],
    /S3_BUCKET is the secret THE_BUCKET, whose value is not known here/,
  ],
};
for (const [what, [application, words, sentence]] of Object.entries(refusals)) {
  test(`adopt refuses: ${what}`, async (t) => {
    const { run } = await lay(t, application);
    const { code, stderr } = await run(...words);
    assert.equal(code, 1);
    assert.match(stderr, sentence);
  });
}

test("adopt reads a relative by its own names, under a destination, with a server elsewhere", async (t) => {
  const relative = `accessories:
  nightly:
    image: itbm/postgresql-backup-s3:16
    service: shop-nightly
    host: 192.0.2.20
    env:
      S3_BUCKET: shop-backups
      POSTGRES_HOST: db.example.com
      POSTGRES_USER: backup
      POSTGRES_PASSWORD: pw
      POSTGRES_DATABASE: shop
      ENCRYPTION_PASSWORD: p
      DELETE_OLDER_THAN: 2 weeks ago
      COMPRESSION_CMD: gzip
`;
  const { config, outside, run } = await lay(t, {
    accessories: DB,
    files: { "shop/config/deploy.production.yml": relative },
  });
  const destination = join(outside.folder, "shop/config/deploy.production.yml");
  const alone = await run("-d", "production", "--write");
  assert.match(
    alone.stderr,
    /deploy\.production\.yml holds nothing but nightly, .*Nothing was changed/,
  );
  assert.deepEqual(await outside.calls("pulumi"), []);
  await writeFile(destination, `${relative}env: { clear: { A: b } }\n`);
  const { code, stdout, stderr } = await run("-d", "production", "--write");
  assert.equal(code, 0, stderr);
  for (const line of [
    /^ {2}destination: production$/m,
    /^ {2}databaseHost: db\.example\.com$/m,
    /^ {2}databaseUser: backup$/m,
    /^ {2}databaseMajor: 16$/m,
    /^ {2}hosts: 192\.0\.2\.20$/m,
    /^ {2}keepDays: 14$/m,
    /^ {2}prefix: backup$/m,
    /^ {2}existingBucket\.region: us-west-1$/m,
    /^ {2}databasePassword: \[secret\]$/m,
    /^ {2}passphrase: \[secret\]$/m,
    /COMPRESSION_CMD is ignored/,
    /It has no SCHEDULE/,
  ]) {
    assert.match(stdout, line);
  }
  assert.match(await readFile(config, "utf8"), /^ {2}db:$/m);
  assert.equal(await readFile(destination, "utf8"), "env: { clear: { A: b } }\n");
});
