import { type KamalConfig, readKamalConfig } from "../../../kamal/configuration/config.ts";

/** A configuration of the corpus: the files of an application, and what must be read from them. */
export interface Configuration {
  readonly name: string;
  readonly base: string;
  /** Of the destination `production`. */
  readonly destination?: string;
  readonly env: Readonly<Record<string, string>>;
  readonly expected: Expected;
  /** Whether a whole Kamal takes it: a sample of those is compared with the real one. */
  readonly runs: boolean;
}

export interface Expected {
  /** Key of the database's accessory; null where the program must say all of the server. */
  readonly database: string | null;
  readonly host?: string;
  readonly network?: string;
  readonly port?: string;
  readonly user?: string;
  readonly major?: number;
}

/** An application's database, as `accessories:` has it with two blanks of indentation. */
interface Database {
  readonly name: string;
  readonly lines: string;
  readonly expected: Expected;
}

const PLAIN: Expected = {
  database: "db",
  host: "192.0.2.10",
  network: "kamal",
  user: "value app",
  major: 17,
};

function database(name: string, settings: string, expected: Partial<Expected> = {}): Database {
  const lines = settings.split("\n").map((line) => `    ${line}\n`);
  return { name, lines: `  db:\n${lines.join("")}`, expected: { ...PLAIN, ...expected } };
}

const IMAGE = "image: postgres:17\nhost: 192.0.2.10";
const ENV = "env: { clear: { POSTGRES_USER: app }, secret: [POSTGRES_PASSWORD] }";

/** Every way to write the database of `cases/kamal` that changes what is read. */
const DATABASES: readonly Database[] = [
  database("plain", `${IMAGE}\n${ENV}`),
  database(
    "block style with a comment",
    `image: postgres:17.6-alpine # pinned\nhost: 192.0.2.10\nenv:\n  clear:\n    # who owns it\n    POSTGRES_USER: app\n  secret:\n  - POSTGRES_PASSWORD`,
  ),
  database(
    "all secrets",
    `${IMAGE}\nenv: { secret: [POSTGRES_USER, POSTGRES_DB, POSTGRES_PASSWORD] }`,
    {
      user: "secret POSTGRES_USER",
    },
  ),
  database(
    "aliases",
    `${IMAGE}\nenv: { secret: [POSTGRES_USER:SHOP_USER, POSTGRES_PASSWORD:SHOP_PW] }`,
    {
      user: "secret SHOP_USER",
    },
  ),
  database("flat environment", `${IMAGE}\nenv: { POSTGRES_USER: app, POSTGRES_PASSWORD: pw }`),
  database("trust", `${IMAGE}\nenv: { POSTGRES_USER: app, POSTGRES_HOST_AUTH_METHOD: trust }`),
  database("network", `${IMAGE}\nnetwork: shop-private\n${ENV}`, { network: "shop-private" }),
  database("network option", `${IMAGE}\noptions: { network: shop-private }\n${ENV}`, {
    network: "shop-private",
  }),
  database("PGPORT", `${IMAGE}\nenv: { clear: { POSTGRES_USER: app, PGPORT: 5433 } }`, {
    port: "5433",
  }),
  database("command", `${IMAGE}\ncmd: "postgres -p 5433 -c max_connections=200"\n${ENV}`, {
    port: "5433",
  }),
  database("published port", `${IMAGE}\nport: "127.0.0.1:6543:5432"\n${ENV}`),
  database(
    "own service, files, volumes",
    `service: shop-db\n${IMAGE}\n${ENV}\ndirectories:\n  - data:/var/lib/postgresql/data\nvolumes: ["extra:/extra"]`,
  ),
  database("role", `image: postgres:17\nrole: job\n${ENV}`, { host: "192.0.2.12" }),
  database("tag", `image: postgres:17\ntag: primary\n${ENV}`, { host: "192.0.2.11" }),
  database("hosts", `image: postgres:17\nhosts: [192.0.2.10]\n${ENV}`),
  database("host from ERB", `image: postgres:17\nhost: <%= ENV["DB_HOST"] %>\n${ENV}`, {
    host: "192.0.2.30",
  }),
  database(
    "host from ERB with a default",
    `image: postgres:17\nhost: <%= ENV.fetch("NO_HOST", "192.0.2.31") %>\n${ENV}`,
    {
      host: "192.0.2.31",
    },
  ),
  database("postgis", `image: postgis/postgis:17-3.5\nhost: 192.0.2.10\n${ENV}`),
  database(
    "pgvector by digest",
    `image: pgvector/pgvector:pg17@sha256:${"4f".repeat(32)}\nhost: 192.0.2.10\n${ENV}`,
  ),
  database(
    "an image of one's own",
    `image: r.example.com/acme/shop-postgres:17\nhost: 192.0.2.10\n${ENV}`,
  ),
  database(
    "Bitnami",
    `image: bitnami/postgresql:17\nhost: 192.0.2.10\nenv: { POSTGRESQL_USERNAME: app, POSTGRESQL_PASSWORD: pw }`,
  ),
  database("options by a merge", `${IMAGE}\n${ENV}\noptions:\n  <<: *limits`),
  {
    name: "none",
    lines: "  redis: { image: redis:7, host: 192.0.2.10 }\n",
    expected: { database: null },
  },
];

const HEADS: readonly string[] = [
  "registry: { server: registry.example.com, username: acme, password: [RP] }\n",
  "registry:\n  server: ghcr.io\n  username:\n    - REGISTRY_USER\n  password:\n    - RP\nssh:\n  user: deploy\n  port: 2222\n  proxy: jump@bastion.example.com\n",
  'registry: { username: acme, password: [RP] }\nssh: { user: <%= ENV["DEPLOYER"] || "deploy" %>, keys: ["~/.ssh/shop"], keys_only: true }\nlogging: { driver: local, options: { max-size: 5m } }\n',
];

const SERVERS =
  "servers:\n  web:\n    - 192.0.2.10\n    - 192.0.2.11: [primary]\n  job:\n    - 192.0.2.12\n";

/** Where the accessories stand, and how the file is written. */
type Layout = (db: string, head: string) => Pick<Configuration, "base" | "destination">;

const ROOT = `service: shop\nimage: acme/shop\nbuilder: { arch: amd64 }\nx-limits: &limits\n  memory: 512m\n`;
const REDIS = "  cache:\n    image: redis:7\n    host: 192.0.2.10\n";
const TAIL = "\n# The rest of the application\nproxy: { ssl: false, host: shop.example.com }\n";

const LAYOUTS: Readonly<Record<string, Layout>> = {
  "accessories last": (db, head) => ({ base: `${ROOT}${SERVERS}${head}accessories:\n${db}` }),
  "in the middle, between comments": (db, head) => ({
    base: `# <%= "how we deploy" %>\n${ROOT}${SERVERS}\naccessories:\n  # the database\n\n${db}${REDIS}\n# end of accessories\n${head}${TAIL}`,
  }),
  "line ends of Windows, the last one missing": (db, head) => ({
    base: `${ROOT}${head}${SERVERS}accessories:\n${REDIS}${db}`
      .replace(/\n$/, "")
      .replaceAll("\n", "\r\n"),
  }),
  "a quoted key, four blanks, a note behind": (db, head) => ({
    base: `${ROOT}${SERVERS}${head}"accessories": # what is beside it\n${db.replaceAll(/^ +/gm, (blanks) => blanks.repeat(2))}${TAIL}`,
  }),
  "split over base and destination": (db, head) => ({
    base: `${ROOT}${SERVERS}${head}accessories:\n${REDIS}`,
    destination: `x-limits: &limits { memory: 1g }\naccessories:\n${db}`,
  }),
  "a destination that changes nothing of it": (db, head) => ({
    base: `${ROOT}${SERVERS}${head}accessories:\n${db}`,
    destination: "proxy:\n  host: production.example.com\n",
  }),
};

/** Each database in each layout, the heads by turns. */
export const CONFIGURATIONS: readonly Configuration[] = DATABASES.flatMap(
  ({ name, lines, expected }, row) =>
    Object.entries(LAYOUTS).map(([layout, write], column) => ({
      name: `${name}; ${layout}`,
      ...write(lines, HEADS[(row + column) % HEADS.length] as string),
      env: { DB_HOST: "192.0.2.30" },
      expected,
      // Both networks at once: Docker's matter, not Kamal's.
      runs: name !== "network option",
    })),
);

/** A configuration as it is read. */
export function configOf({ base, destination, env }: Configuration): KamalConfig {
  return readKamalConfig({
    base: { path: "config/deploy.yml", text: base },
    ...(destination !== undefined && {
      destination: { name: "production", path: "config/deploy.production.yml", text: destination },
    }),
    env,
  });
}
