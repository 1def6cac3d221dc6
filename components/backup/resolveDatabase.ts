import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import {
  databaseAccessory,
  databaseDefaults,
  postgresMajor,
} from "../../kamal/configuration/database.ts";
import type { KamalArgs, KamalProject } from "../accessory/kamalProject.ts";
import type { SettingName } from "../pulumi/settingNames.ts";
import type { DatabaseTlsArgs } from "./certificateAuthority.ts";

/** What cannot be read from deploy.yml, or should not be. Each setting given here wins. */
export interface PostgresArgs extends DatabaseTlsArgs {
  /** Name of the server on the Docker network. @default the database accessory's container */
  readonly host?: string;
  /** @default 5432 */
  readonly port?: number;
  /** Role that backs up and restores. @default POSTGRES_USER of the accessory, else "postgres" */
  readonly user?: string;
  /**
   * Its password.
   * @default the secret that Kamal gives the accessory as POSTGRES_PASSWORD
   */
  readonly password?: pulumi.Input<string>;
  /** Major version of the server. @default that of the accessory's image tag */
  readonly major?: number;
}

export interface DatabaseArgs {
  /**
   * Exact name of the database, or of several on the same server; each gets its own objects. `"all"`: every database that
   * the server has when a backup begins, without templates and `postgres`; one that is called "all" is `["all"]`.
   * @default POSTGRES_DB of the database accessory
   * @example "shop_production"
   * @example ["shop_production", "shop_production_cache", "shop_production_queue", "shop_production_cable"]
   */
  readonly database?: string | readonly string[];
  /**
   * With `database: "all"`: exact names of those left out.
   * @default none
   * @example ["shop_production_cache"]
   */
  readonly excludeDatabases?: readonly string[];
  /** What deploy.yml does not say about the server. */
  readonly postgres?: PostgresArgs;
}

export interface Database {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Exact names, at least one; or every database of the server. */
  readonly names: readonly [string, ...string[]] | "all";
  /** Exact names of those that are left out of all. */
  readonly excluded: readonly string[];
  readonly major: number;
  readonly tls: DatabaseTlsArgs;
  /** Secret. */
  readonly password: pulumi.Output<string>;
  /** Name of the password in Kamal's secrets; absent when it was given to the program. */
  readonly passwordFrom?: string;
  /** Hosts that run the server, and so our container. */
  readonly hosts: readonly string[];
}

export interface DatabaseOptions {
  readonly project: KamalProject;
  readonly kamal: KamalArgs;
  readonly args: DatabaseArgs;
  /** How messages name the arguments. */
  readonly name: SettingName;
}

/**
 * Resolves which database is backed up, from deploy.yml's database accessory and what the program says.
 * @throws Problem that names the setting which is missing or cannot work
 */
export function resolveDatabase({ project, kamal, args, name }: DatabaseOptions): Database {
  const { postgres = {} } = args;
  const accessory = databaseAccessory(project.config, kamal.databaseAccessory);
  const defaults = databaseDefaults(accessory);
  const names =
    args.database === "all" ? "all" : namesOf(name("database"), args.database ?? defaults.database);
  const excluded = namesOf(name("excludeDatabases"), args.excludeDatabases) ?? [];
  if (excluded.length > 0 && names !== "all") {
    const all = `${name("database")}: "all"`;
    throw new Problem(
      `${name("excludeDatabases")} goes with ${all} only; here the databases are named. Leave it out, or say ${all}.`,
    );
  }
  if (names === undefined) {
    throw new Problem(
      `${name("database")}: accessory ${accessory.name} of ${kamal.config} sets no POSTGRES_DB. Give the exact name of the database.`,
    );
  }
  const major = postgres.major ?? postgresMajor(accessory.image ?? "");
  if (major === undefined) {
    throw new Problem(
      `${name("postgres.major")}: the image ${accessory.image} of accessory ${accessory.name} does not say PostgreSQL's major version. Give it, for instance 17.`,
    );
  }
  if (accessory.hosts.length !== 1) {
    throw new Problem(
      `accessory ${accessory.name} of ${kamal.config} runs on ${accessory.hosts.length} hosts; a backup on each would run several times. Give ${name("kamal.databaseAccessory")} one that has a single host.`,
    );
  }
  const { passwordSecret } = defaults;
  const setting = name("postgres.password");
  if (postgres.password === undefined && passwordSecret === undefined) {
    throw new Problem(
      `${setting}: accessory ${accessory.name} of ${kamal.config} has no secret POSTGRES_PASSWORD. Give the password.`,
    );
  }
  return {
    host: postgres.host ?? defaults.host,
    port: postgres.port ?? defaults.port,
    user: postgres.user ?? defaults.user,
    names,
    excluded,
    major,
    tls: {
      ...(postgres.sslMode !== undefined && { sslMode: postgres.sslMode }),
      ...(postgres.sslRootCertificate !== undefined && {
        sslRootCertificate: postgres.sslRootCertificate,
      }),
    },
    hosts: accessory.hosts,
    password: pulumi.secret(postgres.password ?? project.secret(passwordSecret as string, setting)),
    ...(postgres.password === undefined &&
      passwordSecret !== undefined && { passwordFrom: passwordSecret }),
  };
}

/** @throws Problem for a name that the container's list of names cannot carry, or one given twice */
function namesOf(
  setting: string,
  wanted: string | readonly string[] | undefined,
): readonly [string, ...string[]] | undefined {
  const [first, ...others] = typeof wanted === "string" ? [wanted] : (wanted ?? []);
  if (first === undefined) return undefined;
  const names: readonly [string, ...string[]] = [first, ...others];
  for (const name of names) {
    if (name === "" || name !== name.trim() || name.includes(",")) {
      throw new Problem(
        `${setting}: "${name}" is no name that can be given to the container: it must not be empty, hold a comma, or begin or end with white space.`,
      );
    }
  }
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Problem(`${setting}: "${twice}" is given twice.`);
  return names;
}
