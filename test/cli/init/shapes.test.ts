import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import * as pulumi from "@pulumi/pulumi";
import { parse } from "yaml";
import type { BackupOutputs } from "../../../common/contracts/stackOutputs.ts";
import "../../components/sshSettings.ts";
import type { Outside } from "../support/run.ts";
import { layApplication, layRepository, runInit } from "./world.ts";

/** An application, and what `init` and the program that it writes must come to. */
interface Shape {
  readonly files: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly inGit?: true;
  /** Words of the first line. */
  readonly found: RegExp;
  /** Lines that are said besides. */
  readonly remarks?: readonly RegExp[];
  /** Lines of the program. */
  readonly program?: readonly RegExp[];
  /** By environment, what its stack publishes. */
  readonly stacks: Readonly<Record<string, Partial<BackupOutputs>>>;
}

const HEAD = `service: shop
image: acme/shop
servers:
  web:
    - 192.0.2.10
registry:
  username: acme
  password:
    - KAMAL_REGISTRY_PASSWORD
builder:
  arch: amd64
`;
const RAILS_SECRETS =
  "KAMAL_REGISTRY_PASSWORD=$KAMAL_REGISTRY_PASSWORD\nRAILS_MASTER_KEY=$(cat config/master.key)\nPOSTGRES_PASSWORD=$POSTGRES_PASSWORD\n";
const GIVEN = { KAMAL_REGISTRY_PASSWORD: "registry", POSTGRES_PASSWORD: "pw" };
const LITERAL = "KAMAL_REGISTRY_PASSWORD=registry\nPOSTGRES_PASSWORD='pw'\n";

const db = (settings: string) =>
  `${HEAD}accessories:\n  db:\n    host: 192.0.2.10\n${settings.replace(/^/gm, "    ")}\n`;
const RAILS = db(`image: postgres:17
port: "127.0.0.1:5432:5432"
env:
  clear:
    POSTGRES_USER: shop
    POSTGRES_DB: shop_production
  secret:
    - POSTGRES_PASSWORD
directories:
  - data:/var/lib/postgresql/data`);

const DATABASE_YML = `default: &default
  adapter: postgresql
  pool: <%= ENV.fetch("RAILS_MAX_THREADS") { 5 } %>
production:
  primary: &primary_production
    <<: *default
    database: shop_production
    password: <%= ENV["SHOP_DATABASE_PASSWORD"] %>
  cache:
    <<: *primary_production
    database: shop_production_cache
  queue:
    <<: *primary_production
    database: shop_production_queue
  cable:
    <<: *primary_production
    database: shop_production_cable
`;

const one = { database: "shop_production", location: place("shop") };
function place(prefix: string) {
  return { region: "us-east-1", bucket: "shop-backups-4f2a", prefix };
}

const SHAPES: Readonly<Record<string, Shape>> = {
  "Rails 8, secrets by variables": {
    files: { "config/deploy.yml": RAILS, ".kamal/secrets": RAILS_SECRETS },
    env: GIVEN,
    found: /Found: shop \(Kamal 2\), PostgreSQL 17 on 192\.0\.2\.10, 1 database\.$/m,
    program: [
      /^import \{ AwsBackupBucket, Encryption, PostgresBackup, Retention, Schedule \} from "kamal-postgres-backup";$/m,
      /^ {2}kamal: \{ config: "\.\.\/config\/deploy\.yml" \},$/m,
      /^ {2}schedule: Schedule\.daily\("03:15"\),$/m,
      /^export const outputs = backup\.outputs;$/m,
    ],
    stacks: { production: { ...one, schedule: "15 3 * * *", retentionDays: 30, encrypts: true } },
  },
  "Rails 8 with its four databases": {
    files: {
      "config/deploy.yml": RAILS,
      "config/database.yml": DATABASE_YML,
      ".kamal/secrets": LITERAL,
    },
    found: /4 databases\.$/m,
    program: [/^ {2}database: config\.require\("database"\)\.split\(","\),$/m],
    stacks: {
      production: {
        databases: [
          "shop_production",
          "shop_production_cache",
          "shop_production_queue",
          "shop_production_cable",
        ],
      },
    },
  },
  "another name in database.yml than the accessory's": {
    files: {
      "config/deploy.yml": db(
        "image: postgres:17\nenv: { POSTGRES_DB: shop, POSTGRES_PASSWORD: pw }",
      ),
      "config/database.yml": DATABASE_YML,
      ".kamal/secrets": LITERAL,
    },
    found: /every database\.$/m,
    remarks: [/password of accessory db .* is in clear text/],
    stacks: { production: { databases: "all" } },
  },
  "two destinations": {
    files: {
      "config/deploy.yml": RAILS,
      "config/deploy.production.yml": "proxy: { host: shop.example.com }\n",
      "config/deploy.staging.yml":
        "accessories:\n  db:\n    host: 192.0.2.20\n    env:\n      clear:\n        POSTGRES_DB: shop_staging\n",
      ".kamal/secrets.production": LITERAL,
      ".kamal/secrets.staging": LITERAL,
    },
    found: /destinations production, staging, PostgreSQL 17 on 192\.0\.2\.10, 192\.0\.2\.20/,
    program: [/destination: config\.require\("destination"\)/],
    stacks: {
      production: {
        ...one,
        container: "shop-production-db_backup",
        location: place("shop/production"),
      },
      staging: { database: "shop_staging", location: place("shop/staging") },
    },
  },
  "deploy.yml is production, and a destination stands beside it": {
    files: {
      "config/deploy.yml": RAILS,
      "config/deploy.staging.yml": "accessories: { db: { host: 192.0.2.20 } }\n",
      ".kamal/secrets": LITERAL,
      ".kamal/secrets.staging": LITERAL,
    },
    found: /deploy\.yml by itself, destination staging, PostgreSQL 17/,
    program: [/destination: config\.get\("destination"\)/],
    stacks: { production: one, staging: { ...one, location: place("shop/staging") } },
  },
  "secrets that git would carry": {
    files: {
      "config/deploy.yml": RAILS,
      "config/deploy.production.yml": "proxy: { host: shop.example.com }\n",
      ".kamal/secrets-common": LITERAL,
    },
    inGit: true,
    found: /destination production/,
    remarks: [/\.kamal\/secrets\.production is tracked by git, or not ignored by it\./],
    program: [
      /secrets: "outputs"/,
      /^export default \{ backup: backup\.outputs, \.\.\.backup\.secretOutputs \};$/m,
    ],
    stacks: { production: { ...one, location: place("shop/production") } },
  },
  "a password by a command": {
    files: {
      "config/deploy.yml": RAILS,
      ".kamal/secrets": "KAMAL_REGISTRY_PASSWORD=registry\nPOSTGRES_PASSWORD=$(echo pw)\n",
    },
    found: /1 database/,
    remarks: [/is made by a command in Kamal's secrets\. pulumi up runs it/],
    program: [/runSecretCommands: true/],
    stacks: { production: one },
  },
  "aliases of secrets": {
    files: {
      "config/deploy.yml": db(
        "image: postgres:16-alpine\nenv: { secret: [POSTGRES_USER:SHOP_USER, POSTGRES_DB:SHOP_DB, POSTGRES_PASSWORD:SHOP_PW] }",
      ),
      ".kamal/secrets":
        "KAMAL_REGISTRY_PASSWORD=registry\nSHOP_USER=shop\nSHOP_DB=shop_production\nSHOP_PW=pw\n",
    },
    found: /PostgreSQL 16 on .*, 1 database/,
    stacks: { production: one },
  },
  PostGIS: {
    files: {
      "config/deploy.yml": db(
        "image: postgis/postgis:17-3.5\nenv: { clear: { POSTGRES_DB: shop_production }, secret: [POSTGRES_PASSWORD] }",
      ),
      ".kamal/secrets": LITERAL,
    },
    found: /PostgreSQL 17/,
    stacks: { production: one },
  },
  "an image of one's own, whose tag says nothing": {
    files: {
      "config/deploy.yml": db(
        "image: registry.example.com/acme/shop-db:3\nenv: { clear: { POSTGRES_DB: shop_production }, secret: [POSTGRES_PASSWORD] }",
      ),
      ".kamal/secrets": LITERAL,
    },
    args: ["--database-major", "17"],
    found: /PostgreSQL 17/,
    program: [/^ {2}postgres: \{ major: config\.requireNumber\("databaseMajor"\) \},$/m],
    stacks: { production: one },
  },
  "neither POSTGRES_USER nor POSTGRES_DB": {
    files: {
      "config/deploy.yml": db("image: postgres:18\nenv: { secret: [POSTGRES_PASSWORD] }"),
      ".kamal/secrets": LITERAL,
    },
    found: /PostgreSQL 18 .* every database/,
    stacks: { production: { databases: "all" } },
  },
  "a managed server": {
    files: {
      "config/deploy.yml": HEAD,
      ".kamal/secrets":
        "KAMAL_REGISTRY_PASSWORD=registry\nDATABASE_URL=postgres://shop:p%40ss@db.example.com:6432/shop_production?sslmode=require\n",
    },
    args: ["--database-major", "17", "--host", "192.0.2.10"],
    found: /PostgreSQL 17 on 192\.0\.2\.10, 1 database/,
    program: [
      /password: config\.requireSecret\("databasePassword"\)/,
      /^ {2}hosts: \[config\.require\("host"\)\],$/m,
    ],
    stacks: { production: one },
  },
  "the registry of Kamal 2.8 on the developer's machine": {
    files: {
      "config/deploy.yml": RAILS.replace(
        /registry:[\s\S]*?PASSWORD\n/,
        "registry:\n  server: localhost:5555\n",
      ),
      ".kamal/secrets": LITERAL,
    },
    found: /1 database/,
    remarks: [/no registry with a login, so the image is built on the host/],
    program: [/^ {2}build: "host",$/m],
    stacks: { production: one },
  },
  "a server on each of two hosts": {
    files: {
      "config/deploy.yml": RAILS.replace("host: 192.0.2.10", "hosts: [192.0.2.10, 192.0.2.20]"),
      ".kamal/secrets": LITERAL,
    },
    args: ["--host", "192.0.2.20"],
    found: /PostgreSQL 17 on 192\.0\.2\.20/,
    program: [/^ {2}hosts: \[config\.require\("host"\)\],$/m],
    stacks: { production: one },
  },
};

for (const [name, shape] of Object.entries(SHAPES)) {
  test(`${name}: init reads it, and the program that it writes declares the backup`, async (t) => {
    const outside = await layApplication(t, shape.files);
    if (shape.inGit) await layRepository(outside);
    const { code, stdout, stderr } = await runInit(
      outside,
      ["--yes", ...(shape.args ?? [])],
      shape.env,
    );
    assert.equal(code, 0, stderr);
    assert.equal(stderr, "");
    assert.match(stdout, shape.found);
    for (const remark of shape.remarks ?? []) assert.match(stdout, remark);
    if (shape.remarks === undefined) assert.match(stdout, /^Found: .*\n\nWrote backup/, stdout);
    const program = await readFile(join(outside.folder, "backup/index.ts"), "utf8");
    for (const line of shape.program ?? []) assert.match(program, line);
    assert.ok(program.split("\n").length <= 25, program);
    for (const [stack, expected] of Object.entries(shape.stacks)) {
      const published = await publishedBy(outside, stack, shape.env);
      for (const [field, value] of Object.entries(expected)) {
        assert.deepEqual(published[field as keyof BackupOutputs], value, `${stack}: ${field}`);
      }
    }
  });
}

test("the written program takes the old bucket and the old signing keys on the day on which the stack is lost", async (t) => {
  const outside = await layApplication(t, {
    "config/deploy.yml": RAILS,
    ".kamal/secrets": RAILS_SECRETS,
  });
  assert.equal((await runInit(outside, ["--yes"], GIVEN)).code, 0);
  const declared: pulumi.runtime.MockResourceArgs[] = [];
  const signingKeys = Buffer.alloc(32, 7).toString("base64url");
  const lost = { importBucket: "shop-backups-0ld", prefix: "shop/old", signingKeys };
  const { location } = await publishedBy(outside, "production", GIVEN, lost, declared);
  assert.equal(location.prefix, "shop/old");
  const bucket = declared.find(({ type }) => type === "aws:s3/bucket:Bucket");
  assert.equal(bucket?.id, "shop-backups-0ld");
  const rules = declared.find(
    ({ type }) => type === "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
  );
  assert.match(JSON.stringify(rules?.inputs), /"prefix":"shop\/old\//);
  const keys = declared.find(({ inputs }) => "given" in inputs && "generation" in inputs);
  assert.ok(JSON.stringify(keys?.inputs).includes(signingKeys));
});

let runs = 0;

/**
 * What the written program publishes, run as Pulumi runs it, with the settings of its stack.
 * @param set more settings, by their names
 * @param declared takes the resources
 */
async function publishedBy(
  outside: Outside,
  stack: string,
  env: Readonly<Record<string, string>> = {},
  set: Readonly<Record<string, string>> = {},
  declared: pulumi.runtime.MockResourceArgs[] = [],
): Promise<BackupOutputs> {
  const folder = join(outside.folder, "backup");
  const settings = parse(await readFile(join(folder, `Pulumi.${stack}.yaml`), "utf8")).config;
  const texts = Object.entries(settings).map(([key, value]) => [key, String(value)]);
  const more = Object.entries(set).map(([key, value]) => [`shop-backup:${key}`, value]);
  const given = {
    ...Object.fromEntries([...texts, ...more]),
    "shop-backup:databasePassword": "pw",
  };
  const real = {
    HOME: join(outside.folder, "home"),
    PATH: "/usr/local/bin:/usr/bin:/bin",
    SSH_AUTH_SOCK: join(outside.folder, "agent"),
  };
  return outside.within({ ...real, ...env }, async () => {
    process.chdir(folder);
    await pulumi.runtime.setMocks(
      {
        newResource: (args) => {
          declared.push(args);
          return { id: args.name, state: { ...args.inputs, ...madeUp(args.name) } };
        },
        call: () => ({}),
      },
      "shop-backup",
      stack,
      false,
      "organization",
    );
    pulumi.runtime.setAllConfig(given);
    try {
      runs += 1;
      const module = await import(`${pathToFileURL(join(folder, "index.ts")).href}?${runs}`);
      const output: pulumi.Output<BackupOutputs> = module.outputs ?? module.default.backup;
      return await (output as unknown as { promise(): Promise<BackupOutputs> }).promise();
    } finally {
      await pulumi.runtime.disconnect();
    }
  });
}

/** What a provider would add. */
function madeUp(name: string): Record<string, unknown> {
  return {
    bucket: "shop-backups-4f2a",
    arn: "arn:aws:s3:::shop-backups-4f2a",
    region: "us-east-1",
    name,
    secret: "made/up/secret/access/key/of/40/letters0",
    made: ["c2lnbmluZy1rZXktb2YtMzItYnl0ZXMtbWFkZS11cC0"],
    since: "2026-11-24T03:15:02Z",
    repoDigest: `registry.example.com/shop-db-backup@sha256:${"4f".repeat(32)}`,
    stdout: "linux/amd64",
  };
}
