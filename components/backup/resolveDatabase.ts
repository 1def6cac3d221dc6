import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import { databaseAccessory, databaseDefaults, postgresMajor } from "../../kamal/database.ts";
import type { KamalArgs, KamalProject } from "../accessory/kamalProject.ts";
import type { PostgresBackupArgs } from "./postgresBackupArgs.ts";

/** What cannot be read from deploy.yml, or should not be. Each setting given here wins. */
export interface PostgresArgs {
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

export interface Database {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Exact names, at least one; or every database of the server. */
  readonly names: readonly [string, ...string[]] | "all";
  /** Exact names of those that are left out of all. */
  readonly excluded: readonly string[];
  readonly major: number;
  /** Secret. */
  readonly password: pulumi.Output<string>;
  /** Name of the password in Kamal's secrets; absent when it was given to the program. */
  readonly passwordFrom?: string;
  /** Hosts that run the server, and so our container. */
  readonly hosts: readonly string[];
}

/**
 * Settles which database is backed up, from deploy.yml's database accessory and what the program says.
 * @throws Problem that names the setting which is missing or cannot work
 */
export function settleDatabase(
  project: KamalProject,
  kamal: KamalArgs,
  wanted: Pick<PostgresBackupArgs, "database" | "excludeDatabases">,
  args: PostgresArgs = {},
): Database {
  const accessory = databaseAccessory(project.config, kamal.databaseAccessory);
  const defaults = databaseDefaults(accessory);
  const names =
    wanted.database === "all" ? "all" : namesOf("database", wanted.database ?? defaults.database);
  const excluded = namesOf("excludeDatabases", wanted.excludeDatabases) ?? [];
  if (excluded.length > 0 && names !== "all") {
    throw new Problem(
      'excludeDatabases goes with database: "all" only; here the databases are named. Leave it out, or say database: "all".',
    );
  }
  if (names === undefined) {
    throw new Problem(
      `database: accessory ${accessory.name} of ${kamal.config} sets no POSTGRES_DB. Give the exact name of the database.`,
    );
  }
  const major = args.major ?? postgresMajor(accessory.image ?? "");
  if (major === undefined) {
    throw new Problem(
      `postgres.major: the image ${accessory.image} of accessory ${accessory.name} does not tell PostgreSQL's major version. Give it, for instance 17.`,
    );
  }
  if (accessory.hosts.length !== 1) {
    throw new Problem(
      `accessory ${accessory.name} of ${kamal.config} runs on ${accessory.hosts.length} hosts; a backup on each would run several times. Give kamal.databaseAccessory one that has a single host.`,
    );
  }
  const { passwordSecret } = defaults;
  if (args.password === undefined && passwordSecret === undefined) {
    throw new Problem(
      `postgres.password: accessory ${accessory.name} of ${kamal.config} has no secret POSTGRES_PASSWORD. Give the password.`,
    );
  }
  return {
    host: args.host ?? defaults.host,
    port: args.port ?? defaults.port,
    user: args.user ?? defaults.user,
    names,
    excluded,
    major,
    hosts: accessory.hosts,
    password: pulumi.secret(
      args.password ?? project.secret(passwordSecret as string, "postgres.password"),
    ),
    ...(args.password === undefined &&
      passwordSecret !== undefined && { passwordFrom: passwordSecret }),
  };
}

/** @throws Problem for a name that the container's list of names cannot carry, or one given twice */
function namesOf(
  argument: string,
  wanted: string | readonly string[] | undefined,
): readonly [string, ...string[]] | undefined {
  const [first, ...others] = typeof wanted === "string" ? [wanted] : (wanted ?? []);
  if (first === undefined) return undefined;
  const names: readonly [string, ...string[]] = [first, ...others];
  for (const name of names) {
    if (name === "" || name !== name.trim() || name.includes(",")) {
      throw new Problem(
        `${argument}: "${name}" is no name that can be given to the container: it must not be empty, hold a comma, or begin or end with white space.`,
      );
    }
  }
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Problem(`${argument}: "${twice}" is given twice.`);
  return names;
}
