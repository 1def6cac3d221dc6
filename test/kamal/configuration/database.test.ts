import assert from "node:assert/strict";
import { test } from "node:test";
import { readKamalConfig } from "../../../kamal/configuration/config.ts";
import { databaseAccessory, databaseDefaults } from "../../../kamal/configuration/database.ts";
import { postgresMajor } from "../../../kamal/configuration/postgresImage.ts";

function configOf(accessories: string) {
  const text = `service: shop\naccessories:\n${accessories}`;
  return readKamalConfig({ base: { path: "config/deploy.yml", text }, env: {} });
}

/** K12 and the small rows: which accessory runs the database, by its image or its variables. */
const FOUND: readonly (readonly [what: string, accessories: string, name: string | undefined])[] = [
  [
    "neither our own nor another backup's",
    "  db: { image: postgres:17 }\n  db_backup: { image: r/shop-db-backup@sha256:4f }\n  old: { image: eeshugerman/postgres-backup-s3:16 }\n",
    "db",
  ],
  [
    "an image of the application's own, by its variables in clear",
    "  db: { image: r.example.com/acme/shop-postgres:16, env: { clear: { POSTGRES_DB: app } } }\n",
    "db",
  ],
  [
    "by a secret",
    "  db: { image: acme/citus:12.1, env: { secret: [POSTGRES_PASSWORD:PW] } }\n",
    "db",
  ],
  ["by a flat environment", "  db: { image: acme/citus:12.1, env: { PGDATA: /data } }\n", "db"],
  [
    "a backup's and a pooler's variables are those of clients",
    "  old: { image: acme/s3:16, env: { clear: { POSTGRES_HOST: db, POSTGRES_USER: app } } }\n  pool: { image: acme/bouncer, env: { clear: { POSTGRESQL_HOST: db }, secret: [POSTGRESQL_PASSWORD] } }\n",
    undefined,
  ],
  ["none", "  redis: { image: redis:7, host: 192.0.2.10 }\n", undefined],
  [
    "an image that is known goes before one that has the variables",
    "  db: { image: postgres:17 }\n  other: { image: acme/db, env: { POSTGRES_PASSWORD: x } }\n",
    "db",
  ],
];
for (const [what, accessories, name] of FOUND) {
  test(`the database's accessory: ${what}`, () =>
    assert.equal(databaseAccessory(configOf(accessories))?.name, name));
}

test("several that have the variables are no choice", () => {
  const accessory = (name: string) => `  ${name}: { image: acme/db, env: { POSTGRES_DB: x } }\n`;
  assert.throws(() => databaseAccessory(configOf(accessory("a") + accessory("b"))), {
    name: "Problem",
    message: /several accessories that run PostgreSQL \(a, b\)\. Give one of them as kamal\.data/,
  });
});

test("an accessory that is named must run PostgreSQL, or the program says which", () => {
  const config = configOf(
    "  redis: { image: redis:7 }\n  own: { image: acme/db, env: { POSTGRES_DB: x } }\n",
  );
  const argument = (path: string) => `app:${path}`;
  assert.throws(() => databaseAccessory(config, { name: "redis", argument }), {
    name: "Problem",
    message:
      /^app:kamal\.databaseAccessory: accessory redis has the image redis:7, which is not known as PostgreSQL, .* give app:postgres\.major too/,
  });
  assert.equal(databaseAccessory(config, { name: "redis", major: 17 })?.name, "redis");
  assert.equal(databaseAccessory(config, { name: "own" })?.name, "own");
});

/** K9 to K11: what the accessory says, wherever Kamal lets it be said. */
const DEFAULTS: readonly (readonly [settings: string, expected: Record<string, unknown>])[] = [
  [
    "env: { secret: [POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD] }",
    {
      user: { secret: "POSTGRES_USER" },
      database: { secret: "POSTGRES_DB" },
      password: { secret: "POSTGRES_PASSWORD" },
    },
  ],
  [
    "env: { clear: { POSTGRES_DB: app }, secret: [POSTGRES_USER:SHOP_USER] }",
    { user: { secret: "SHOP_USER" }, database: { value: "app" } },
  ],
  ["env: { clear: { POSTGRES_USER: a }, secret: [POSTGRES_USER] }", { user: { value: "a" } }],
  [
    'env: { clear: { POSTGRES_USER: "" }, secret: [POSTGRES_USER] }',
    { user: { secret: "POSTGRES_USER" } },
  ],
  ["env: { POSTGRES_PASSWORD: hunter2 }", { password: { value: "hunter2" } }],
  ["env: { POSTGRES_USER_FILE: /run/user }", { user: { file: "POSTGRES_USER_FILE" } }],
  [
    "env: { POSTGRESQL_USERNAME: app, POSTGRESQL_DATABASE: d }",
    { user: { value: "app" }, database: { value: "d" } },
  ],
  ["env: { POSTGRES_HOST_AUTH_METHOD: trust }", { trusts: true, password: undefined }],
  ["env: { POSTGRES_HOST_AUTH_METHOD: scram-sha-256 }", { trusts: false }],
  ["network: shop-private", { network: "shop-private" }],
  ["options: { network: shop-private }", { network: "shop-private" }],
  ["options: { network: [shop-private, other] }", { network: "shop-private" }],
  ["{ network: a, options: { network: b } }", { network: "a" }],
  ["network: host", { network: "host", host: "127.0.0.1" }],
  ["options: { memory: 1g }", { network: "kamal", port: undefined, host: "shop-db" }],
  ["env: { clear: { PGPORT: 5433 } }", { port: { value: "5433" } }],
  ["env: { secret: [PGPORT:DB_PORT] }", { port: { secret: "DB_PORT" } }],
  ...[
    "postgres -p 5433",
    "postgres -p5433",
    "-p 5433",
    "postgres --port=5433",
    "postgres -c port=5433",
    "postgres -c 'port = 5433'",
    "-cport=5433 -c shared_buffers=1GB",
    "postgres -p 5432 -p 5433",
    "postgres -c PORT=5433",
    "postgres --Port=5433 -P",
    "docker-entrypoint.sh postgres -c max_connections=200 -p 5433",
    'sh -c "mkdir -p /data; exec postgres -p 5433"',
  ].map(
    (cmd) =>
      [`{ cmd: ${JSON.stringify(cmd)}, env: { PGPORT: 1 } }`, { port: { value: "5433" } }] as const,
  ),
  ['cmd: "postgres -p $PORT"', { port: { value: "$PORT" } }],
  ['cmd: "postgres -c shared_preload_libraries=pg_stat_statements"', { port: undefined }],
  ['cmd: "mkdir -p /data && postgres"', { port: undefined }],
];
for (const [settings, expected] of DEFAULTS) {
  test(`what the accessory says: ${settings}`, () => {
    const fields = settings.startsWith("{") ? settings.slice(1, -1) : settings;
    const config = configOf(`  db: { image: postgres:17, ${fields} }\n`);
    const accessory = databaseAccessory(config);
    assert.ok(accessory);
    const defaults: Record<string, unknown> = { ...databaseDefaults(accessory) };
    const found = Object.keys(expected).map((key) => [key, defaults[key]]);
    assert.deepEqual(Object.fromEntries(found), expected);
  });
}

const MAJORS: readonly (readonly [image: string, major: number | undefined])[] = [
  ["postgres:17", 17],
  ["postgres:17.6-alpine3.22", 17],
  ["postgres:16-bookworm@sha256:4f1c", 16],
  ["127.0.0.1:5001/postgres:15.2", 15],
  ["docker.io/bitnami/postgresql:14.9.0", 14],
  ["postgis/postgis:17-3.5", 17],
  ["pgvector/pgvector:pg18", 18],
  ["pgvector/pgvector:0.8.0-pg17-trixie", 17],
  ["timescale/timescaledb:2.17.2-pg16", 16],
  ["timescale/timescaledb-ha:pg17.2-ts2.17", 17],
  ["timescale/timescaledb:2.17.2", undefined],
  ["postgres", undefined],
  ["postgres:latest", undefined],
  ["127.0.0.1:5001/postgres", undefined],
  ["postgres@sha256:4f1c", undefined],
  ["registry.example.com/acme/shop-postgres:16", 16],
  ["acme/shop-postgres:3", undefined],
  ["acme/citus:12.1", undefined],
  ["acme/citus:12.1-pg16", 16],
  ["acme/postgres-s3:2.1", undefined],
  ["redis:7", undefined],
];

for (const [image, major] of MAJORS) {
  test(`major version of ${image}`, () => assert.equal(postgresMajor(image), major));
}
