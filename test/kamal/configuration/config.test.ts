import assert from "node:assert/strict";
import { test } from "node:test";
import { readKamalConfig } from "../../../kamal/configuration/config.ts";
import { databaseAccessory, databaseDefaults } from "../../../kamal/configuration/database.ts";
import { DEPLOY, STAGING } from "../fixtures.ts";

const ENV = { DB_HOST: "192.0.2.20" };

function databaseOf(config: ReturnType<typeof readKamalConfig>) {
  const accessory = databaseAccessory(config);
  assert.ok(accessory);
  return accessory;
}

function read(text: string, env: Record<string, string | undefined> = {}) {
  return readKamalConfig({ base: { path: "config/deploy.yml", text }, env });
}

test("a deploy.yml with ERB, without destination", () => {
  const config = readKamalConfig({ base: DEPLOY, env: ENV });
  assert.equal(config.service, "shop");
  assert.equal(config.destination, undefined);
  assert.deepEqual(
    { ...config.registry },
    {
      server: "registry.example.com",
      username: "acme",
      password: { secret: "KAMAL_REGISTRY_PASSWORD" },
    },
  );
  assert.deepEqual(
    { ...config.ssh },
    {
      user: "deploy",
      port: 2222,
      proxies: [{ user: "jump", host: "bastion.example.com" }],
      keys: ["~/.ssh/shop"],
      keyData: [],
      keysOnly: true,
      config: "user",
    },
  );
  assert.equal(config.logging, undefined);
  assert.equal(config.secretsPath, ".kamal/secrets");
  assert.deepEqual(Object.keys(config.accessories), ["db", "redis"]);
  const db = databaseOf(config);
  assert.equal(db.name, "db");
  assert.equal(db.service, "shop-db");
  assert.equal(db.image, "postgres:17.6");
  assert.deepEqual(db.hosts, ["192.0.2.20"]);
  assert.equal(db.port, "127.0.0.1:5432:5432");
  assert.equal(db.network, "kamal");
  assert.equal(db.env.clear["POSTGRES_DB"], "shop_production");
  assert.deepEqual(db.env.secret, [{ name: "POSTGRES_PASSWORD", from: "SHOP_DB_PASSWORD" }]);
  assert.deepEqual(
    { ...databaseDefaults(db) },
    {
      host: "shop-db",
      port: undefined,
      user: { value: "shop" },
      database: { value: "shop_production" },
      password: { secret: "SHOP_DB_PASSWORD" },
      trusts: false,
      network: "kamal",
    },
  );
  assert.deepEqual(config.accessories["redis"]?.hosts, ["192.0.2.10", "192.0.2.11", "192.0.2.12"]);
  assert.deepEqual(config.warnings, []);
});

test("a destination: mappings merge, lists and values are replaced", () => {
  const config = readKamalConfig({
    base: DEPLOY,
    destination: STAGING,
    env: { ...ENV, SSH_PORT: "22", REGISTRY: "127.0.0.1:5001", KAMAL_DESTINATION: "stale" },
  });
  assert.equal(config.destination, "staging");
  assert.equal(config.registry.server, "127.0.0.1:5001");
  assert.equal(config.ssh.user, "root");
  assert.equal(config.ssh.port, 22);
  const db = databaseOf(config);
  assert.equal(db.service, "shop-staging-db");
  assert.deepEqual(db.hosts, ["198.51.100.7"]);
  assert.equal(db.env.clear["POSTGRES_USER"], "shop");
  assert.equal(db.env.clear["POSTGRES_DB"], "shop_staging");
  assert.deepEqual(db.env.secret, [{ name: "POSTGRES_PASSWORD", from: "POSTGRES_PASSWORD" }]);
  assert.deepEqual(config.accessories["redis"]?.hosts, ["198.51.100.7", "192.0.2.12"]);
});

test("what only Ruby can evaluate fails when it is needed, not before", () => {
  const config = readKamalConfig({ base: DEPLOY, env: ENV });
  const { db, redis } = config.accessories;
  assert.throws(() => redis?.image, {
    name: "Problem",
    message:
      "config/deploy.yml: accessories.redis.image needs <%= redis_image %>, but only Ruby can evaluate it. Give postgres.major to the program.",
  });
  assert.throws(
    () => db?.env.clear["STARTED"],
    /accessories\.db\.env\.clear\.STARTED needs <%= Time\.now %>/,
  );
  assert.equal(db?.env.clear["POSTGRES_USER"], "shop");
});

const ERB: readonly (readonly [
  expression: string,
  env: Record<string, string>,
  service: string,
])[] = [
  ["<%= ENV['X'] %>", { X: "one" }, "one"],
  ['<%= ENV["X"] -%>', { X: "one" }, "one"],
  ['a<%= ENV["X"] %>b', { X: "" }, "ab"],
  ['a<%= ENV["KAMAL_DESTINATION"] %>b', {}, "ab"],
  ['shop\n<%= ENV["X"] %>', {}, "shop"],
  ['<%= ENV.fetch("X") %>', { X: "one" }, "one"],
  ['<%= ENV.fetch("X", "two") %>', {}, "two"],
  ["<%= ENV.fetch('X', 'two') %>", { X: "one" }, "one"],
  ['<%= ENV.fetch("X", 5432) %>', {}, "5432"],
  ['<%= ENV["X"] || "two" %>', {}, "two"],
  ['<%= ENV["X"] || "two" %>', { X: "one" }, "one"],
  ['"<%% literal %>"', {}, "<% literal %>"],
  ["shop<%# a comment %>", {}, "shop"],
  ['"<%= ENV["A"] %>-<%= ENV["B"] %>"', { A: "x", B: "y" }, "x-y"],
];

for (const [expression, env, service] of ERB) {
  test(`ERB ${expression} with ${JSON.stringify(env)}`, () => {
    assert.equal(read(`service: ${expression}\n`, env).service, service);
  });
}

const OPAQUE: readonly (readonly [expression: string, reason: RegExp])[] = [
  [
    "<%= `hostname` %>",
    /needs <%= `hostname` %>, but only Ruby can evaluate it\. Give kamal\.service to the program\.$/,
  ],
  ['<%= ENV["X"].upcase %>', /only Ruby/],
  ['<%= ENV["X"] || ENV["Y"] %>', /only Ruby/],
  ['<%= ENV.fetch("X", "a#{1}") %>', /only Ruby/],
  ['<%= ENV.fetch("X") { "a" } %>', /only Ruby/],
  ['<%= ENV.fetch("X") %>', /but X is not set in the environment/],
  [
    '<%= ENV["X"] %>',
    /^config\/deploy\.yml: service needs <%= ENV\["X"\] %>, but X is not set in the environment\. Set X for pulumi as it is set for kamal \(X= if it is meant to be empty\), or give kamal\.service to the program\.$/,
  ],
  ['<%= ENV["X"] -%>', /but X is not set/],
  ['a<%= ENV["X"] %>b', /service needs <%= ENV\["X"\] %>, but X is not set/],
  ['"<%= ENV["KAMAL_DESTINATION"] %>-<%= ENV["Y"] %>"', /but Y is not set/],
  ["prefix-<%= name %>", /service needs <%= name %>/],
];

for (const [expression, message] of OPAQUE) {
  test(`opaque ${expression}`, () => {
    const config = read(`service: ${expression}\nssh: { user: deploy }\n`);
    assert.equal(config.ssh.user, "deploy");
    assert.throws(() => config.service, { name: "Problem", message });
  });
}

test("control tags are named in one warning a file, what they enclose is read, and a value that depends on them is not guessed", () => {
  const config = read(`<% require "dotenv"; Dotenv.load(".env") %>
service: shop
ssh:
  user: <%= ENV["DEPLOYER"] %>
<% if ENV["A"] %>
  port: 22
<% else %>
  port: 2222
<% end %>
`);
  assert.equal(config.service, "shop");
  assert.deepEqual(config.warnings, [
    "config/deploy.yml: the Ruby in <% %> (lines 1, 5, 7, 9) was not run; what it encloses is read as it stands. The variables that Dotenv would load must be set in the environment of pulumi.",
  ]);
  assert.throws(() => config.ssh.user, /DEPLOYER is not set in the environment/);
  assert.throws(
    () => config.ssh.port,
    /ssh\.port needs its second port:, but it stands twice, under conditions/,
  );
});

test("YAML as Ruby reads it", () => {
  const config = read(`service: 017
accessories:
  db:
    image: postgres
    host: h
    env: { A: yes, B: 1.0, C: "yes", D: 12, E: 2.50 }
`);
  assert.equal(config.service, "15");
  assert.deepEqual(
    { ...config.accessories["db"]?.env.clear },
    { A: "true", B: "1.0", C: "yes", D: "12", E: "2.5" },
  );
});

test("placement", () => {
  const config = read(`service: shop
servers: { web: [a, { b: eu }], job: { hosts: [c] } }
accessories:
  one: { host: x }
  many: { hosts: [x, y] }
  role: { role: job }
  roles: { roles: [web, job] }
  tag: { tag: eu }
  nowhere: { image: postgres }
  unknown: { role: nope }
`);
  const hosts = (name: string) => config.accessories[name]?.hosts;
  assert.deepEqual(hosts("one"), ["x"]);
  assert.deepEqual(hosts("many"), ["x", "y"]);
  assert.deepEqual(hosts("role"), ["c"]);
  assert.deepEqual(hosts("roles"), ["a", "b", "c"]);
  assert.deepEqual(hosts("tag"), ["b"]);
  assert.throws(() => hosts("nowhere"), /accessories\.nowhere\.host is missing/);
  assert.throws(() => hosts("unknown"), /accessories\.unknown\.role "nope" matches no server/);
  const plain = read("service: shop\nservers: [a, b]\naccessories:\n  one: { role: web }\n");
  assert.deepEqual(plain.accessories["one"]?.hosts, ["a", "b"]);
});

test("defaults, an accessory's own registry, logging", () => {
  const config = read(`service: shop
logging: { driver: local, options: { max-size: 5m } }
accessories:
  db: { image: acme/postgres:16, host: h, network: private, registry: { server: r.example.com } }
`);
  assert.deepEqual(
    { ...config.ssh },
    {
      user: undefined,
      port: undefined,
      proxies: [],
      keys: [],
      keyData: [],
      keysOnly: false,
      config: "user",
    },
  );
  assert.deepEqual(
    { ...config.registry },
    { server: undefined, username: undefined, password: undefined },
  );
  assert.equal(config.logging?.driver, "local");
  assert.equal(config.logging?.options?.["max-size"], "5m");
  const db = databaseOf(config);
  assert.equal(db.image, "r.example.com/acme/postgres:16");
  assert.equal(db.network, "private");
  assert.deepEqual(
    { ...databaseDefaults(db) },
    {
      host: "shop-db",
      port: undefined,
      user: undefined,
      database: undefined,
      password: undefined,
      trusts: false,
      network: "private",
    },
  );
});

test("ssh.proxy of two bastions: the one that is named first is next to the host, as Kamal's SSH has it", () => {
  const rows: [string, object[]][] = [
    ["bastion", [{ host: "bastion", user: "root" }]],
    [
      "jump@inner:2200,outer,me@middle",
      [
        { host: "outer" },
        { host: "middle", user: "me" },
        { host: "inner", user: "jump", port: 2200 },
      ],
    ],
    ["inner,outer", [{ host: "outer" }, { host: "inner", user: "root" }]],
  ];
  for (const [proxy, proxies] of rows) {
    assert.deepEqual(read(`service: shop\nssh: { proxy: "${proxy}" }\n`).ssh.proxies, proxies);
  }
});

const BROKEN: readonly (readonly [
  text: string,
  use: (config: ReturnType<typeof read>) => unknown,
  message: RegExp,
])[] = [
  ["", (c) => c, /config\/deploy\.yml holds no settings\. Give the path/],
  ["- a\n", (c) => c, /holds no settings/],
  [
    "a: b: c\n",
    (c) => c,
    /config\/deploy\.yml line 1 is not YAML: Nested mappings are not allowed.*kamal config/,
  ],
  ["a:\n<%= x %>\nb: 1\n", (c) => c, /is not YAML.*ERB that only Ruby can evaluate/],
  ["service: <%= x\n", (c) => c, /ERB tag \(<%\) that is never closed/],
  ["image: x\n", (c) => c.service, /config\/deploy\.yml: service is missing\. Add it/],
  ["service: [a]\n", (c) => c.service, /service is not a single value/],
  ["ssh: { port: many }\n", (c) => c.ssh.port, /ssh\.port "many" is not a port number/],
  ["ssh: { keys: one }\n", (c) => c.ssh.keys, /ssh\.keys is not a list/],
  [
    "ssh: { proxy: 'a b' }\n",
    (c) => c.ssh.proxies,
    /ssh\.proxy "a b" is not \[user@\]host\[:port\]/,
  ],
  ["ssh: { proxy_command: x }\n", (c) => c.ssh.proxies, /ssh\.proxy_command cannot be used here/],
  [
    "registry: { password: hunter2 }\n",
    (c) => c.registry.password,
    /^(?!.*hunter2).*registry\.password is not a list with the name of a secret/,
  ],
  ["accessories: [db]\n", (c) => c.accessories, /accessories is not a mapping/],
  [
    "accessories:\n  a: { image: postgres:17 }\n  b: { image: 'pgvector/pgvector:pg16' }\n",
    (c) => databaseAccessory(c),
    /several accessories that run PostgreSQL \(a, b\)/,
  ],
  [
    "accessories:\n  a: { image: postgres:17 }\n",
    (c) => databaseAccessory(c, { name: "b" }),
    /no accessory "b" \(it has: a\)/,
  ],
  [
    "accessories:\n  a: { image: <%= x %> }\n",
    (c) => databaseAccessory(c),
    /accessories\.a\.image needs <%= x %>/,
  ],
];

for (const [text, use, message] of BROKEN) {
  test(`refused: ${JSON.stringify(text)}`, () => {
    assert.throws(() => use(read(text)), { name: "Problem", message });
  });
}

/** K15, K17: the setting as it stands in the file, and the argument that replaces it. */
const ARGUMENTS: readonly (readonly [
  setting: string,
  use: (config: ReturnType<typeof read>) => unknown,
  argument: string,
])[] = [
  ["service: X", (c) => c.service, "kamal.service"],
  ["accessories: { db: { host: X } }", (c) => c.accessories["db"]?.hosts, "hosts"],
  ["accessories: { db: { hosts: [X] } }", (c) => c.accessories["db"]?.hosts, "hosts"],
  ["accessories: { db: { role: X } }", (c) => c.accessories["db"]?.hosts, "hosts"],
  ["accessories: { db: { service: X } }", (c) => c.accessories["db"]?.service, "postgres.host"],
  ["accessories: { db: { image: X } }", (c) => c.accessories["db"]?.image, "postgres.major"],
  ["accessories: { db: { network: X } }", (c) => c.accessories["db"]?.network, "postgres.network"],
  ["accessories: { db: { cmd: X } }", (c) => c.accessories["db"]?.cmd, "postgres.port"],
  ...["clear: { POSTGRES_USER: X }", "POSTGRES_USER: X"].map(
    (env) =>
      [
        `accessories: { db: { env: { ${env} } } }`,
        (c: ReturnType<typeof read>) => c.accessories["db"]?.env.clear["POSTGRES_USER"],
        "postgres.user",
      ] as const,
  ),
  [
    "accessories: { db: { env: { POSTGRES_DB: X } } }",
    (c) => c.accessories["db"]?.env.clear["POSTGRES_DB"],
    "database",
  ],
  [
    "accessories: { db: { env: { clear: { PGPORT: X } } } }",
    (c) => c.accessories["db"]?.env.clear["PGPORT"],
    "postgres.port",
  ],
  ["registry: { server: X }", (c) => c.registry.server, "registry.server"],
  ["registry: { username: X }", (c) => c.registry.username, "registry.username"],
  ["registry: { password: [X] }", (c) => c.registry.password, "registry.password"],
  ["ssh: { user: X }", (c) => c.ssh.user, "ssh.user"],
  ["ssh: { port: X }", (c) => c.ssh.port, "ssh.port"],
  ["ssh: { proxy: X }", (c) => c.ssh.proxies, "ssh.proxy"],
  ["ssh: { keys: [X] }", (c) => c.ssh.keys, "ssh.privateKey"],
  ["image: X", (c) => c.image, "repository"],
  ["builder: { arch: X }", (c) => c.arches, "platform"],
  ["secrets_path: X", (c) => c.secretsPath, "kamal.secretsFile"],
];

for (const [setting, use, argument] of ARGUMENTS) {
  test(`the argument in the place of ${setting}`, () => {
    const named = (text: string) =>
      readKamalConfig({
        base: { path: "config/deploy.yml", text: `name: s\n${text}\n` },
        env: {},
        argument: (path) => `app:${path}`,
      });
    assert.throws(() => use(named(setting.replace("X", () => "'<%= computed %>'"))), {
      name: "Problem",
      message: new RegExp(`only Ruby can evaluate it\\. Give app:${argument} to the program\\.$`),
    });
    assert.throws(() => use(named(setting.replace("X", () => "'a<%= ENV[\"X\"] %>'"))), {
      name: "Problem",
      message: new RegExp(`X is not set .*, or give app:${argument} to the program\\.$`),
    });
  });
}

test("what the program gives counts before the file", () => {
  const config = readKamalConfig({
    base: {
      path: "config/deploy.yml",
      text: "service: <%= name %>\nssh: { user: <%= user %>, port: 2222 }\nregistry: <%= registry %>\n",
    },
    env: {},
    given: { service: "shop", ssh: { user: "deploy" }, registry: { server: "ghcr.io" } },
  });
  assert.deepEqual(
    [config.service, config.ssh.user, config.ssh.port, config.registry.server],
    ["shop", "deploy", 2222, "ghcr.io"],
  );
});

const KAMAL_1: readonly (readonly [settings: string, key: string | undefined])[] = [
  ["traefik:\n  args: {}", "traefik"],
  ["traefik:", "traefik"],
  ["healthcheck: { path: /up }", "healthcheck"],
  ["stop_wait_time: 30", "stop_wait_time"],
  ["builder: { multiarch: false }", "builder.multiarch"],
  ["builder: { remote: { arch: amd64, host: ssh://root@192.0.2.10 } }", "builder.remote"],
  ["builder: { arch: amd64, remote: ssh://root@192.0.2.10, local: false }", undefined],
  ["# traefik: is gone\nproxy: { healthcheck: { path: /up } }", undefined],
];
for (const [settings, key] of KAMAL_1) {
  test(`Kamal 1 by ${JSON.stringify(settings)}: ${key ?? "no"}`, () => {
    const use = () => read(`service: shop\n${settings}\n`).service;
    if (key === undefined) return assert.equal(use(), "shop");
    assert.throws(use, {
      name: "Problem",
      message: new RegExp(
        `^config/deploy\\.yml: ${key} is a setting of Kamal 1, .* Upgrade the application to Kamal 2 first: https://`,
      ),
    });
  });
}

test("which of OpenSSH's settings Kamal reads", () => {
  const config = (text: string) => read(`service: shop\nssh: { config: ${text} }\n`).ssh.config;
  assert.equal(config("true"), "user");
  assert.equal(config("false"), "none");
  assert.deepEqual(config("~/.ssh/shop"), ["~/.ssh/shop"]);
  assert.deepEqual(config("[a, b]"), ["a", "b"]);
});

test("an empty destination file is refused, as by Kamal", () => {
  const destination = { name: "staging", path: "config/deploy.staging.yml", text: "# later\n" };
  assert.throws(() => readKamalConfig({ base: DEPLOY, destination, env: ENV }), {
    name: "Problem",
    message: /config\/deploy\.staging\.yml holds no settings, which Kamal refuses/,
  });
});
