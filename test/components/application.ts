import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import type { ResolvedBackup } from "../../components/backup/resolveBackup.ts";
import type * as Components from "../../components/index.ts";

/** What a test wants of its deploy.yml, beside a database whose password is a secret. */
export interface DeployYml {
  /** @default "shop" */
  readonly service?: string;
  /** Lines before the accessories: registry, ssh. */
  readonly head?: string;
  /** @default "postgres:17" */
  readonly image?: string;
  /** The database's variables in clear. */
  readonly clear?: Readonly<Record<string, string>>;
  /** @default ["POSTGRES_PASSWORD"] */
  readonly secret?: readonly string[];
}

/** A registry with a password among Kamal's secrets. */
export const REGISTRY = `registry:
  server: registry.example.com
  username: deployer
  password:
    - KAMAL_REGISTRY_PASSWORD
`;

export function deployYml({
  service = "shop",
  head = "",
  image = "postgres:17",
  clear = {},
  secret = ["POSTGRES_PASSWORD"],
}: DeployYml = {}): string {
  const variables = Object.entries(clear).map(([name, value]) => `        ${name}: ${value}\n`);
  const names = secret.map((name) => `        - ${name}\n`);
  const part = (title: string, lines: readonly string[]) =>
    lines.length === 0 ? "" : `      ${title}:\n${lines.join("")}`;
  return `service: ${service}
builder: { arch: amd64 }
${head}accessories:
  db:
    image: ${image}
    host: 192.0.2.10
    env:
${part("clear", variables)}${part("secret", names)}`;
}

/** A deploy.yml with a database of which only the password is a secret. */
export const DEPLOY = deployYml();
export const SECRETS = "POSTGRES_PASSWORD='the-database-password'\n";

/** The same with the database's name in it and the password nowhere. */
export const DEPLOY_WITH_NAME = deployYml({
  clear: { POSTGRES_DB: "shop_production" },
  secret: [],
});

/**
 * Lays out a Kamal application in a folder of its own, `config/deploy.yml` and `.kamal/secrets`.
 * @param secrets absent: no file of secrets
 * @param files others by their path in the folder
 * @returns the folder, which whoever calls removes
 */
export function layOutApplication(
  deploy: string,
  secrets?: string,
  files: Readonly<Record<string, string>> = {},
): string {
  const folder = mkdtempSync(join(tmpdir(), "application-"));
  for (const name of ["config", ".kamal"]) mkdirSync(join(folder, name));
  writeFileSync(join(folder, "config/deploy.yml"), deploy);
  if (secrets !== undefined) writeFileSync(join(folder, ".kamal/secrets"), secrets);
  for (const [path, text] of Object.entries(files)) writeFileSync(join(folder, path), text);
  return folder;
}

/**
 * Settings with every secret that there is.
 * @param wrong variable of the secret that has a line end
 */
export function settingsWith(wrong: string | undefined): AgentSettings {
  const secret = (variable: string) => (variable === wrong ? "a\n" : "a");
  const store = (prefix: string) => ({
    region: "eu-west-3",
    bucket: "shop-backups",
    prefix: "shop",
    accessKeyId: secret(`${prefix}S3_ACCESS_KEY_ID`),
    secretAccessKey: secret(`${prefix}S3_SECRET_ACCESS_KEY`),
    allowInsecure: false,
  });
  return {
    schedule: "15 3 * * *",
    jitterSeconds: 0,
    postgres: {
      host: "db",
      port: 5432,
      user: "postgres",
      password: secret("POSTGRES_PASSWORD"),
      database: "shop",
      dumpOptions: "",
    },
    databases: ["shop"],
    excludedDatabases: [],
    store: store(""),
    encryption: { passphrase: secret("PASSPHRASE") },
    compressionLevel: 1,
    globals: true,
    verify: false,
    tiers: false,
    maxShrinkPercent: 50,
    notifications: { pingUrl: secret("PING_URL"), webhookUrl: secret("WEBHOOK_URL") },
    copy: { store: store("COPY_"), tiers: false },
  };
}

/** Arguments of a backup of the application of `DEPLOY_WITH_NAME` on AWS, with nothing that needs a registry. */
function plainArgs(
  { AwsBackupBucket, Retention, Schedule }: typeof Components,
  folder: string,
  { bucket, ...changes }: Partial<Components.PostgresBackupArgs>,
): Components.PostgresBackupArgs {
  return {
    kamal: {
      config: join(folder, "config/deploy.yml"),
      secretsFile: join(folder, ".kamal/secrets"),
    },
    bucket: bucket ?? new AwsBackupBucket("shop-backups", { retention: Retention.days(30) }),
    schedule: Schedule.daily("03:15"),
    postgres: { password: "the-database-password" },
    image: `registry.example.com/agent@sha256:${"4f".repeat(32)}`,
    ssh: { hostKeys: { "192.0.2.10": "ssh-ed25519 AAAA" }, privateKey: "key" },
    ...changes,
  };
}

/** What a file of tests about one argument needs. Filled before its first test, gone after its last. */
export interface Applied {
  components: typeof Components;
  /** A backup with `plainArgs`, of an application that is laid out for this file. */
  backup(changes: Partial<Components.PostgresBackupArgs>): Components.PostgresBackup;
  /** What such arguments come to before a resource is made; give a bucket that exists. */
  resolve(changes: Partial<Components.PostgresBackupArgs>): ResolvedBackup;
}

/** To be called at the top of a file: the components are loaded when the engine's mocks are there. */
export function applied(): Applied {
  const made = {} as Applied;
  let folder: string;
  before(async () => {
    folder = layOutApplication(DEPLOY_WITH_NAME);
    const components = await import("../../components/index.ts");
    const { resolveBackup } = await import("../../components/backup/resolveBackup.ts");
    made.components = components;
    made.backup = (changes) =>
      new components.PostgresBackup("shop", plainArgs(components, folder, changes));
    made.resolve = (changes) =>
      resolveBackup(plainArgs(components, folder, changes), {
        preview: false,
        info: () => {},
        warn: () => {},
      });
  });
  after(() => rmSync(folder, { recursive: true }));
  return made;
}
