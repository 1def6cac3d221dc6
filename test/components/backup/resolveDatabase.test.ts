import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import type * as pulumi from "@pulumi/pulumi";
import type { PostgresBackupArgs } from "../../../components/backup/postgresBackupArgs.ts";
import { resolveBackup } from "../../../components/backup/resolveBackup.ts";
import type { Database } from "../../../components/backup/resolveDatabase.ts";
import { nameSettings } from "../../../components/pulumi/settingNames.ts";
import { layOutApplication } from "../application.ts";

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

interface Case {
  /** Settings of the accessory db, besides its image and host. */
  readonly db?: string;
  /** @default "postgres:17" */
  readonly image?: string;
  /** All of `accessories:`, in the place of db. */
  readonly accessories?: string;
  readonly secrets?: string;
  readonly changes?: Partial<PostgresBackupArgs>;
}

/** The database of an application, and what was said about it. */
function resolved({ db = "env: {}", image = "postgres:17", accessories, secrets, changes }: Case) {
  const all = accessories ?? `{ db: { image: "${image}", host: 192.0.2.10, ${db} } }`;
  const folder = layOutApplication(`service: shop\naccessories: ${all}\n`, secrets);
  folders.push(folder);
  const args: PostgresBackupArgs = {
    bucket: {
      name: "shop-backups",
      endpoint: "https://s3.fr-par.scw.cloud",
      region: "fr-par",
      accessKeyId: "SCWEXAMPLE",
      secretAccessKey: "the-secret-key",
    },
    schedule: "15 3 * * *",
    image: `registry.example.com/agent@sha256:${"4f".repeat(32)}`,
    ssh: { hostKeys: { "192.0.2.10": "ssh-ed25519 AAAA" }, privateKey: "key" },
    ...changes,
    kamal: { ...changes?.kamal, config: join(folder, "config/deploy.yml") },
  };
  const lines: string[] = [];
  const log = { preview: false, info: () => {}, warn: (text: string) => void lines.push(text) };
  const names = nameSettings(args, { "postgres.password": "app:databasePassword" });
  const { database } = resolveBackup(names, log);
  return { database, lines };
}

const PASSWORD = "env: { clear: { POSTGRES_DB: app }, secret: [POSTGRES_PASSWORD] }";
const ELSEWHERE: Partial<PostgresBackupArgs> = {
  database: "app",
  hosts: ["192.0.2.10"],
  postgres: { host: "db.example.com", major: 17, user: "app", password: "pw" },
};

type Expected = Partial<Omit<Database, "password">> & { readonly password?: string };

const READ: readonly (readonly [what: string, given: Case, expected: Expected])[] = [
  [
    "K9: user, database and password are secrets",
    {
      db: "env: { secret: [POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD] }",
      secrets: "POSTGRES_USER=app\nPOSTGRES_DB=app_production\nPOSTGRES_PASSWORD=pw\n",
    },
    { user: "app", names: ["app_production"], password: "pw", passwordFrom: "POSTGRES_PASSWORD" },
  ],
  [
    "K9: the same under other names, and the database given",
    {
      db: "env: { secret: [POSTGRES_USER:DB_USER, POSTGRES_DB:DB_NAME, POSTGRES_PASSWORD:DB_PW] }",
      secrets: "DB_USER=app\nDB_NAME=$(pass name)\nDB_PW=pw\n",
      changes: { database: "other" },
    },
    { user: "app", names: ["other"], password: "pw", passwordFrom: "DB_PW" },
  ],
  [
    "commands are run where the program says so",
    {
      db: "env: { clear: { POSTGRES_DB: app }, secret: [POSTGRES_USER, POSTGRES_PASSWORD] }",
      secrets:
        "ALL=$(echo 'app pw')\nPOSTGRES_USER=app\nPOSTGRES_PASSWORD=a-$(echo $ALL | cut -d ' ' -f 2)\n",
      changes: { kamal: { config: "", runSecretCommands: true } },
    },
    { user: "app", password: "a-pw", passwordFrom: "POSTGRES_PASSWORD" },
  ],
  [
    "a default stands for what is said nowhere",
    { db: PASSWORD, secrets: "POSTGRES_PASSWORD=pw\n" },
    { host: "shop-db", port: 5432, user: "postgres", network: "kamal", hosts: ["192.0.2.10"] },
  ],
  [
    "K10: the database's own network",
    { db: `network: shop-private, ${PASSWORD}`, secrets: "POSTGRES_PASSWORD=pw\n" },
    { network: "shop-private" },
  ],
  [
    "K10: an argument counts before it",
    {
      db: `options: { network: shop-private }, ${PASSWORD}`,
      secrets: "POSTGRES_PASSWORD=pw\n",
      changes: { postgres: { network: "kamal" } },
    },
    { network: "kamal" },
  ],
  [
    "K11: another port",
    { db: `cmd: "postgres -p 5433", ${PASSWORD}`, secrets: "POSTGRES_PASSWORD=pw\n" },
    { port: 5433 },
  ],
  [
    "K11: as a secret",
    {
      db: "env: { clear: { POSTGRES_DB: app }, secret: [PGPORT, POSTGRES_PASSWORD] }",
      secrets: "PGPORT=5433\nPOSTGRES_PASSWORD=pw\n",
    },
    { port: 5433 },
  ],
  [
    "an image of the application's own, whose major is given",
    {
      image: "acme/citus:12.1",
      db: PASSWORD,
      secrets: "POSTGRES_PASSWORD=pw\n",
      changes: { postgres: { major: 16 } },
    },
    { major: 16, host: "shop-db" },
  ],
  [
    "a server that asks for no password",
    { db: "env: { POSTGRES_DB: app, POSTGRES_HOST_AUTH_METHOD: trust }" },
    { password: "not-asked-for" },
  ],
  [
    "K16: a server elsewhere, without any accessory",
    { accessories: "{}", changes: ELSEWHERE },
    {
      host: "db.example.com",
      port: 5432,
      user: "app",
      names: ["app"],
      major: 17,
      network: "kamal",
      hosts: ["192.0.2.10"],
      password: "pw",
    },
  ],
  [
    "K16: with others only",
    { accessories: "{ redis: { image: redis:7, host: 192.0.2.10 } }", changes: ELSEWHERE },
    { host: "db.example.com", hosts: ["192.0.2.10"] },
  ],
  [
    "K16: on the host itself",
    {
      accessories: "{}",
      changes: { ...ELSEWHERE, postgres: { ...ELSEWHERE.postgres, host: "127.0.0.1", port: 5433 } },
    },
    { host: "127.0.0.1", port: 5433, network: "host" },
  ],
  [
    "K17: a host that only Ruby knows",
    {
      accessories: `{ db: { image: postgres:17, host: <%= Servers.first %>, ${PASSWORD} } }`,
      secrets: "POSTGRES_PASSWORD=pw\n",
      changes: { hosts: ["192.0.2.10"] },
    },
    { host: "shop-db", hosts: ["192.0.2.10"] },
  ],
  [
    "one of several hosts",
    {
      accessories: `{ db: { image: postgres:17, hosts: [192.0.2.10, 192.0.2.11], ${PASSWORD} } }`,
      secrets: "POSTGRES_PASSWORD=pw\n",
      changes: { hosts: ["192.0.2.10"] },
    },
    { hosts: ["192.0.2.10"] },
  ],
];
for (const [what, given, expected] of READ) {
  test(what, async () => {
    const { database, lines } = resolved(given);
    const password = await promiseOf(database.password);
    const found = Object.keys(expected).map((key) => [
      key,
      { ...database, password }[key as "host"],
    ]);
    assert.deepEqual(Object.fromEntries(found), expected);
    assert.deepEqual(
      lines.filter((line) => !line.startsWith("encryption")),
      [],
    );
  });
}

function promiseOf(output: pulumi.Output<string>): Promise<string> {
  return new Promise((done) => void output.apply(done));
}

for (const env of [
  "{ clear: { POSTGRES_PASSWORD: hunter2, POSTGRES_DB: app } }",
  "{ POSTGRES_PASSWORD: hunter2, POSTGRES_DB: app }",
]) {
  test(`a password in clear is read, with a warning that does not repeat it: ${env}`, async () => {
    const { database, lines } = resolved({ db: `env: ${env}` });
    assert.equal(await promiseOf(database.password), "hunter2");
    assert.equal(database.passwordFrom, undefined);
    assert.match(lines[0] ?? "", /^the password of accessory db is in clear text in .*deploy\.yml/);
    assert.doesNotMatch(lines.join(), /hunter2/);
  });
}

const WRONG: readonly (readonly [what: string, given: Case, sentence: RegExp])[] = [
  [
    "K9: a user that a command makes",
    {
      db: "env: { clear: { POSTGRES_DB: app }, secret: [POSTGRES_USER, POSTGRES_PASSWORD] }",
      secrets: "POSTGRES_USER=$(pass user)\nPOSTGRES_PASSWORD=pw\n",
    },
    /secrets: secret POSTGRES_USER is made by a command, .* Give postgres\.user to the program, as a secret of the stack, or set kamal\.runSecretCommands/,
  ],
  [
    "K9: a database that a command makes",
    {
      db: "env: { secret: [POSTGRES_DB, POSTGRES_PASSWORD] }",
      secrets: "POSTGRES_DB=$(pass db)\nPOSTGRES_PASSWORD=pw\n",
    },
    /secret POSTGRES_DB is made by a command, .* Give database to the program/,
  ],
  [
    "a command that fails",
    {
      db: PASSWORD,
      secrets: "POSTGRES_PASSWORD=$(echo locked >&2; exit 3)\n",
      changes: { kamal: { config: "", runSecretCommands: true } },
    },
    /^a command in Kamal's secrets failed: echo: locked\. Run kamal secrets print in /,
  ],
  [
    "a user in a file of the container",
    { db: "env: { POSTGRES_DB: app, POSTGRES_PASSWORD: pw, POSTGRES_USER_FILE: /run/user }" },
    /^postgres\.user: accessory db .* has it in a file of the container \(POSTGRES_USER_FILE\)/,
  ],
  [
    "K11: a port that the host's shell would know",
    { db: `cmd: "postgres -p $PORT", ${PASSWORD}`, secrets: "POSTGRES_PASSWORD=pw\n" },
    /^postgres\.port: "\$PORT" is no port number\. Give the one on which the server listens/,
  ],
  [
    "K12: something else",
    {
      accessories: "{ redis: { image: redis:7, host: 192.0.2.10 } }",
      changes: {
        ...ELSEWHERE,
        kamal: { config: "", databaseAccessory: "redis" },
        postgres: { password: "pw" },
      },
    },
    /^kamal\.databaseAccessory: accessory redis has the image redis:7, which is not known as PostgreSQL/,
  ],
  [
    "K12: a major that there is no client for",
    { image: "postgres:7", db: PASSWORD, secrets: "POSTGRES_PASSWORD=pw\n" },
    /^postgres\.major: the image postgres:7 of accessory db says PostgreSQL 7, but backups are made of 14 to 18/,
  ],
  ...[7, 19, 17.5].map(
    (major) =>
      [
        `K12: ${major} given`,
        { db: PASSWORD, secrets: "POSTGRES_PASSWORD=pw\n", changes: { postgres: { major } } },
        new RegExp(`^postgres\\.major ${major} must be the server's major version, from 14 to 18`),
      ] as const,
  ),
  [
    "K13: a password from a variable that is not set",
    { db: PASSWORD, secrets: "POSTGRES_PASSWORD=$NOT_SET_HERE\n" },
    /secrets: secret POSTGRES_PASSWORD is empty, because \$NOT_SET_HERE is not set here\. Set it for pulumi as it is set for kamal, or give app:databasePassword to the program\.$/,
  ],
  [
    "K13: by way of another secret",
    { db: PASSWORD, secrets: "A=$NOT_SET_HERE\nPOSTGRES_PASSWORD=${A}\n" },
    /secret POSTGRES_PASSWORD is empty, because \$NOT_SET_HERE is not set here/,
  ],
  [
    "K13: inside a longer value",
    { db: PASSWORD, secrets: 'POSTGRES_PASSWORD="a${NOT_SET_HERE}b"\n' },
    /secret POSTGRES_PASSWORD needs \$NOT_SET_HERE, which is not set here\. .* in single quotes if no variable is meant/,
  ],
  [
    "K13: a user from one",
    {
      db: "env: { clear: { POSTGRES_DB: app }, secret: [POSTGRES_USER, POSTGRES_PASSWORD] }",
      secrets: "POSTGRES_USER=$NOT_SET_HERE\nPOSTGRES_PASSWORD=pw\n",
    },
    /secret POSTGRES_USER is empty, because \$NOT_SET_HERE .* or give postgres\.user/,
  ],
  [
    "an empty password",
    { db: PASSWORD, secrets: "POSTGRES_PASSWORD=\n" },
    /secret POSTGRES_PASSWORD is empty\. Give it a value there, or give app:databasePassword/,
  ],
  [
    "K16: no accessory, and nothing given",
    { accessories: "{}" },
    /^no accessory of .* runs PostgreSQL \(accessories: none\)\. For a server elsewhere, or on the host itself, give postgres\.host, postgres\.major, postgres\.user, app:databasePassword, database, hosts\.$/,
  ],
  [
    "K16: others only, and a part given",
    {
      accessories: "{ redis: { image: redis:7, host: 192.0.2.10 } }",
      changes: { database: "app", postgres: { host: "db.example.com", password: "pw" } },
    },
    /\(accessories: redis\)\. If one of them does, give it as kamal\.databaseAccessory\. For a server elsewhere, or on the host itself, give postgres\.major, postgres\.user, hosts\.$/,
  ],
  [
    "K16: the container's own loopback",
    {
      accessories: "{}",
      changes: {
        ...ELSEWHERE,
        postgres: { ...ELSEWHERE.postgres, host: "localhost", network: "kamal" },
      },
    },
    /^postgres\.host localhost is the container itself on the Docker network kamal/,
  ],
  [
    "two hosts given",
    { accessories: "{}", changes: { ...ELSEWHERE, hosts: ["192.0.2.10", "192.0.2.11"] } },
    /^hosts names 2 hosts \(192\.0\.2\.10, 192\.0\.2\.11\), .* Give hosts the one that is backed up/,
  ],
  [
    "a database on two hosts",
    {
      accessories: `{ db: { image: postgres:17, hosts: [192.0.2.10, 192.0.2.11], ${PASSWORD} } }`,
      secrets: "POSTGRES_PASSWORD=pw\n",
    },
    /^accessory db of .* runs on 2 hosts \(192\.0\.2\.10, 192\.0\.2\.11\), each with .* Give hosts the one that is backed up; .* another name, kamal\.accessory and prefix\.$/,
  ],
];
for (const [what, given, message] of WRONG) {
  test(`refused: ${what}`, () => {
    assert.throws(
      () => resolved(given),
      ({ name, message: found }: Error) => {
        assert.equal(name, "Problem");
        assert.match(found, message);
        return true;
      },
    );
  });
}
