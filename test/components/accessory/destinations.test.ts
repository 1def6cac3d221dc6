import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { KamalArgs } from "../../../components/accessory/kamalProject.ts";
import { resolveBackup } from "../../../components/backup/resolveBackup.ts";
import { Retention } from "../../../components/index.ts";
import { writeMarkedBlock } from "../../../kamal/markedBlock.ts";
import { DEPLOY_WITH_NAME, layOutApplication } from "../application.ts";

const block = (key: string) => `  ${key}:\n    image: agent:1\n    host: 192.0.2.10\n`;
const withBlock = (text: string, name: string, key = "db_backup") =>
  writeMarkedBlock(text, name, block(key), "accessories");

const BASE = DEPLOY_WITH_NAME;
const STAGING = "env:\n  clear:\n    RAILS_ENV: staging\n";

interface Case {
  readonly base?: string;
  readonly staging?: string;
  readonly production?: string;
  readonly kamal?: Partial<KamalArgs>;
  readonly prefix?: string;
  readonly beforeDeploy?: boolean;
}

function resolved(
  t: TestContext,
  { base = BASE, staging, production, kamal, prefix, beforeDeploy }: Case,
) {
  const folder = layOutApplication(base, undefined, {
    ...(staging !== undefined && { "config/deploy.staging.yml": staging }),
    ...(production !== undefined && { "config/deploy.production.yml": production }),
  });
  t.after(() => rmSync(folder, { recursive: true }));
  const lines: string[] = [];
  const secretsFile = kamal?.secretsFile && join(folder, kamal.secretsFile);
  const backup = resolveBackup(
    {
      kamal: {
        config: join(folder, "config/deploy.yml"),
        ...kamal,
        ...(secretsFile && { secretsFile }),
      },
      bucket: {
        name: "shop-backups",
        region: "eu-west-3",
        accessKeyId: "AKIAEXAMPLE",
        secretAccessKey: "the-secret-key",
        retention: Retention.days(30),
      },
      schedule: "15 3 * * *",
      ...(prefix !== undefined && { prefix }),
      ...(beforeDeploy && { beforeDeploy: {} }),
      postgres: { password: "the-database-password" },
      ssh: { hostKeys: { "192.0.2.10": "ssh-ed25519 AAAA" }, privateKey: "key" },
      image: `registry.example.com/agent@sha256:${"4f".repeat(32)}`,
    },
    { preview: true, info: () => {}, warn: (text) => lines.push(text) },
  );
  const shown = lines.map((line) => line.replaceAll(`${folder}/`, ""));
  return { backup, lines: shown.filter((line) => !line.startsWith("encryption")) };
}

const REFUSED: Record<string, [Case, RegExp]> = {
  "staging after production, whose block is in the base": [
    { base: withBlock(BASE, "shop"), staging: STAGING, kamal: { destination: "staging" } },
    /accessories\.db_backup stands in \S+deploy\.yml too \(line \d+\), the block of the backup "shop", and Kamal merges that file with \S+deploy\.staging\.yml, .*kamal\.accessory "db_backup_staging"/,
  ],
  "the base after staging, whichever name its backup has": [
    { staging: withBlock(STAGING, "shop-staging") },
    /stands in \S+deploy\.staging\.yml too \(line \d+\), the block of the backup "shop-staging", .*merges that file with \S+deploy\.yml.*kamal\.destination/,
  ],
  "the base, and an accessory that somebody wrote for a destination, on one line": [
    { production: "accessories: { db_backup: { image: theirs } }\n" },
    /stands in \S+deploy\.production\.yml too, and Kamal merges/,
  ],
  "another key that both have": [
    {
      base: withBlock(BASE, "shop", "nightly"),
      staging: STAGING,
      kamal: { destination: "staging", accessory: "nightly" },
    },
    /accessories\.nightly stands in .*"nightly_staging"/,
  ],
};
for (const [what, [arrangement, sentence]] of Object.entries(REFUSED)) {
  test(`refused: ${what}`, (t) => {
    assert.throws(() => resolved(t, arrangement), sentence);
  });
}

const ACCEPTED: Record<string, Case> = {
  "a base without destinations": { base: withBlock(BASE, "shop") },
  "a destination whose base has no block": {
    staging: withBlock(STAGING, "shop"),
    kamal: { destination: "staging" },
  },
  "two destinations, each with its block under one key": {
    staging: withBlock(STAGING, "backup"),
    production: withBlock(STAGING, "backup"),
    kamal: { destination: "production" },
  },
  "another key than the base's": {
    base: withBlock(BASE, "shop"),
    staging: STAGING,
    kamal: { destination: "staging", accessory: "db_backup_staging" },
  },
};
for (const [what, arrangement] of Object.entries(ACCEPTED)) {
  test(`fine, and nothing to say: ${what}`, (t) => {
    assert.deepEqual(resolved(t, arrangement).lines, []);
  });
}

test("a block in the base beside files of destinations: what Kamal makes of it is said, and the way out", (t) => {
  const { lines, backup } = resolved(t, { staging: STAGING, production: STAGING });
  const [line = "", ...others] = lines;
  assert.deepEqual(others, []);
  assert.match(
    line,
    /config\/deploy\.yml is merged with deploy\.production\.yml, deploy\.staging\.yml/,
  );
  assert.match(line, /-d production" acts on this very container.*kamal\.destination puts it/);
  assert.match(
    line,
    / the rules and keys of its folder shop hold for theirs \(shop\/production, shop\/staging\): give prefix "shop\/production", for instance\.$/,
  );
  const apart = resolved(t, { staging: STAGING, prefix: "shop/production" }).lines;
  assert.match(apart.join("\n"), /puts it into the file of one destination\.$/);
  assert.match(backup.project.deployFile, /deploy\.yml$/);
});

test("names of secrets: as ever in a destination's own file, a destination's own in a file for all of them", (t) => {
  const prefixOf = (kamal?: Partial<KamalArgs>) =>
    resolved(t, { staging: STAGING, ...(kamal && { kamal }) }).backup.secretPrefix;
  const destination = "staging";
  assert.equal(prefixOf(), "DB_BACKUP");
  assert.equal(prefixOf({ secretsFile: ".kamal/secrets-common" }), "DB_BACKUP");
  assert.equal(prefixOf({ destination }), "DB_BACKUP");
  assert.equal(
    prefixOf({ destination, secretsFile: ".kamal/secrets-common" }),
    "DB_BACKUP_STAGING",
  );
});

const HAND_WRITTEN = (image: string, env = "") => `  s3_backup:
    image: ${image}
    host: 192.0.2.10
${env}`;

const NAMED: Record<string, [string, RegExp]> = {
  "a fork of postgres-backup-s3, into the same folder at the same time": [
    HAND_WRITTEN(
      "acme/postgres-backup-s3:17",
      '    env:\n      clear:\n        S3_BUCKET: shop-backups\n        S3_PREFIX: shop\n        SCHEDULE: "15 3 * * *"\n',
    ),
    /s3_backup backs up as well \(image acme\/postgres-backup-s3:17, bucket shop-backups, prefix shop, schedule 15 3.*Both write into one folder.*prefix.*Both run at the same time.*kamal accessory remove s3_backup/,
  ],
  "one with its bucket as a secret": [
    HAND_WRITTEN(
      "ghcr.io/itbm/postgresql-backup-s3:latest",
      "    env:\n      secret: [S3_BUCKET]\n",
    ),
    /bucket not in clear, no prefix, no schedule\); db_backup goes to bucket shop-backups, prefix shop/,
  ],
  "another image, by its variables": [
    HAND_WRITTEN(
      "acme/nightly:1",
      "    env:\n      S3_BUCKET: b\n      POSTGRES_HOST: db\n      SCHEDULE: '@daily'\n",
    ),
    /s3_backup backs up as well \(image acme\/nightly:1, bucket b/,
  ],
  "kamal-backup": [HAND_WRITTEN("ghcr.io/crmne/kamal-backup:1.0"), /kamal-backup:1\.0/],
};
for (const [what, [accessory, sentence]] of Object.entries(NAMED)) {
  test(`a backup that somebody wrote by hand is named: ${what}`, (t) => {
    const { lines } = resolved(t, { base: BASE + accessory });
    assert.equal(lines.length, 1, lines.join("\n"));
    assert.match(lines[0] ?? "", sentence);
  });
}

test("other accessories and the blocks of our own backups are not taken for such a one", (t) => {
  const others =
    "  redis:\n    image: redis:7\n    host: 192.0.2.10\n  backup_web:\n    image: acme/web:1\n    host: 192.0.2.10\n";
  const own = writeMarkedBlock(
    BASE + others,
    "queue",
    "  queue_backup:\n    image: r.example.com/shop-queue-db-backup:1\n    host: 192.0.2.10\n",
    "accessories",
  );
  assert.deepEqual(resolved(t, { base: own }).lines, []);
});

test("a gate in the base says which deploys it does not hold back; one of a destination has nothing to say", (t) => {
  const sentence =
    /^beforeDeploy holds back deploys without a destination alone: "kamal deploy -d staging" goes on/;
  const about = ({ lines }: { lines: string[] }) => lines.filter((line) => sentence.test(line));
  assert.equal(about(resolved(t, { staging: STAGING, beforeDeploy: true })).length, 1);
  assert.equal(about(resolved(t, { beforeDeploy: true })).length, 0, "there is no destination");
  assert.equal(about(resolved(t, { staging: STAGING })).length, 0);
  const kamal = { destination: "staging" };
  assert.equal(about(resolved(t, { staging: STAGING, beforeDeploy: true, kamal })).length, 0);
});
