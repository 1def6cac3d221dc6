import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import type * as Components from "../../components/index.ts";

/** A deploy.yml with a database of which only the password is a secret. */
export const DEPLOY = `service: shop
accessories:
  db:
    image: postgres:17
    host: 192.0.2.10
    env:
      secret:
        - POSTGRES_PASSWORD
`;
export const SECRETS = "POSTGRES_PASSWORD='the-database-password'\n";

/** The same with the database's name in it and the password nowhere. */
export const DEPLOY_WITH_NAME = `service: shop
accessories:
  db:
    image: postgres:17
    host: 192.0.2.10
    env:
      clear:
        POSTGRES_DB: shop_production
`;

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

/** A backup of the application of `DEPLOY_WITH_NAME` on AWS, with nothing that needs a registry. */
function plainBackup(
  { AwsBackupBucket, PostgresBackup, Retention, Schedule }: typeof Components,
  folder: string,
  changes: Partial<Components.PostgresBackupArgs>,
): Components.PostgresBackup {
  return new PostgresBackup("shop", {
    kamal: {
      config: join(folder, "config/deploy.yml"),
      secretsFile: join(folder, ".kamal/secrets"),
    },
    bucket: new AwsBackupBucket("shop-backups", { retention: Retention.days(30) }),
    schedule: Schedule.daily("03:15"),
    postgres: { password: "the-database-password" },
    image: `registry.example.com/agent@sha256:${"4f".repeat(32)}`,
    ssh: { hostKeys: { "192.0.2.10": "ssh-ed25519 AAAA" }, privateKey: "key" },
    ...changes,
  });
}

/** What a file of tests about one argument needs. Filled before its first test, gone after its last. */
export interface Applied {
  components: typeof Components;
  /** `plainBackup` of an application that is laid out for this file. */
  backup(changes: Partial<Components.PostgresBackupArgs>): Components.PostgresBackup;
}

/** To be called at the top of a file: the components are loaded when the engine's mocks are there. */
export function applied(): Applied {
  const made = {} as Applied;
  let folder: string;
  before(async () => {
    folder = layOutApplication(DEPLOY_WITH_NAME);
    const components = await import("../../components/index.ts");
    made.components = components;
    made.backup = (changes) => plainBackup(components, folder, changes);
  });
  after(() => rmSync(folder, { recursive: true }));
  return made;
}
