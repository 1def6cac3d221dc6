import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import { KAMAL_NETWORK } from "../../kamal/accessory.ts";
import type { KamalAccessoryConfig } from "../../kamal/configuration/accessoryConfig.ts";
import {
  accessoryNames,
  type DatabaseDefaults,
  databaseAccessory,
  databaseDefaults,
  type VariableSource,
} from "../../kamal/configuration/database.ts";
import {
  isSupportedMajor,
  POSTGRES_MAJORS,
  postgresMajor,
} from "../../kamal/configuration/postgresImage.ts";
import type { KamalArgs, KamalProject } from "../accessory/kamalProject.ts";
import type { ResourceLog } from "../pulumi/resourceMessages.ts";
import type { SettingName } from "../pulumi/settingNames.ts";
import type { DatabaseTlsArgs } from "./certificateAuthority.ts";

/** What cannot be read from deploy.yml, or should not be. Each setting given here wins. */
export interface PostgresArgs extends DatabaseTlsArgs {
  /**
   * Name of the server as the container reaches it. 127.0.0.1 is the host itself, whose network the container then shares.
   * @default the database accessory's container
   * @example "db.example.com"
   */
  readonly host?: string;
  /** @default what the accessory's command or PGPORT says, else 5432 */
  readonly port?: number;
  /** Role that backs up and restores. @default POSTGRES_USER of the accessory, else "postgres" */
  readonly user?: string;
  /**
   * Its password.
   * @default what Kamal gives the accessory as POSTGRES_PASSWORD
   */
  readonly password?: pulumi.Input<string>;
  /** Major version of the server, 14 to 18. @default that of the accessory's image tag */
  readonly major?: number;
  /**
   * Docker network that the container joins, where it finds the server. It must exist on the host.
   * @default the database accessory's own, else "kamal"
   * @example "shop-private"
   */
  readonly network?: string;
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
  /**
   * The host that runs our container, in a list, for a server that is no accessory of the application: a managed one, or
   * one on the host itself.
   * @default that of the database accessory
   * @example ["192.0.2.10"]
   */
  readonly hosts?: readonly string[];
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
  /** Docker network that our container joins. */
  readonly network: string;
  /** Hosts that run our container: those that run the server, unless it is elsewhere. */
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
export function resolveDatabase(options: DatabaseOptions, log: ResourceLog): Database {
  const { args, name } = options;
  const { postgres = {} } = args;
  const server = serverOf(options);
  const { accessory, defaults } = server;
  const text = (source: VariableSource | undefined, setting: string) =>
    source && textOf(options, server, source, name(setting));
  const names =
    args.database === "all"
      ? "all"
      : namesOf(name("database"), args.database ?? text(defaults?.database, "database"));
  const excluded = namesOf(name("excludeDatabases"), args.excludeDatabases) ?? [];
  if (excluded.length > 0 && names !== "all") {
    const all = `${name("database")}: "all"`;
    throw new Problem(
      `${name("excludeDatabases")} goes with ${all} only; here the databases are named. Leave it out, or say ${all}.`,
    );
  }
  if (names === undefined) {
    throw new Problem(
      `${name("database")}: accessory ${accessory?.name} of ${options.kamal.config} sets no POSTGRES_DB. Give the exact name of the database.`,
    );
  }
  const host = postgres.host ?? defaults?.host ?? "";
  return {
    host,
    port: checkedPort(postgres.port ?? text(defaults?.port, "postgres.port") ?? 5432, name),
    user: postgres.user ?? text(defaults?.user, "postgres.user") ?? "postgres",
    names,
    excluded,
    major: majorOf(accessory, postgres.major, name),
    tls: {
      ...(postgres.sslMode !== undefined && { sslMode: postgres.sslMode }),
      ...(postgres.sslRootCertificate !== undefined && {
        sslRootCertificate: postgres.sslRootCertificate,
      }),
    },
    network: networkOf(host, postgres.network ?? defaults?.network, name),
    hosts: hostsOf(options, server),
    ...passwordOf(options, server, log),
  };
}

/** The accessory that runs the server, and what it says; nothing for a server of which the program says all. */
interface Server {
  readonly accessory?: KamalAccessoryConfig;
  readonly defaults?: DatabaseDefaults;
}

function serverOf({ project: { config }, kamal, args, name }: DatabaseOptions): Server {
  const missing = missingWithoutAccessory(args);
  if (missing.length === 0 && kamal.databaseAccessory === undefined) return {};
  const accessory = databaseAccessory(config, {
    name: kamal.databaseAccessory,
    major: args.postgres?.major,
    argument: name,
  });
  if (accessory !== undefined) return { accessory, defaults: databaseDefaults(accessory) };
  const others = accessoryNames(config);
  const choice =
    others === "none" ? "" : ` If one of them does, give it as ${name("kamal.databaseAccessory")}.`;
  throw new Problem(
    `no accessory of ${kamal.config} runs PostgreSQL (accessories: ${others}).${choice} For a server elsewhere, or on the host itself, give ${missing.map(name).join(", ")}.`,
  );
}

/** Of the arguments that together say all that an accessory would, those that are not given. */
function missingWithoutAccessory({ database, hosts, postgres = {} }: DatabaseArgs): string[] {
  const all = {
    "postgres.host": postgres.host,
    "postgres.major": postgres.major,
    "postgres.user": postgres.user,
    "postgres.password": postgres.password,
    database,
    hosts,
  };
  return Object.entries(all).flatMap(([path, value]) => (value === undefined ? [path] : []));
}

/** @throws Problem where only the container knows it, or Kamal's secrets do not tell */
function textOf(
  { project, kamal }: DatabaseOptions,
  { accessory }: Server,
  source: VariableSource,
  setting: string,
): string {
  if ("value" in source) return source.value;
  if ("secret" in source) return project.secret(source.secret, setting);
  throw new Problem(
    `${setting}: accessory ${accessory?.name} of ${kamal.config} has it in a file of the container (${source.file}), which is not read here. Give it to the program.`,
  );
}

function checkedPort(given: string | number, name: SettingName): number {
  const port = Number(given);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw new Problem(
    `${name("postgres.port")}: "${given}" is no port number. Give the one on which the server listens, from 1 to 65535.`,
  );
}

function majorOf(
  accessory: KamalAccessoryConfig | undefined,
  given: number | undefined,
  name: SettingName,
): number {
  const { oldest, newest } = POSTGRES_MAJORS;
  const setting = name("postgres.major");
  const major = given ?? postgresMajor(accessory?.image ?? "");
  if (major === undefined) {
    throw new Problem(
      `${setting}: the image ${accessory?.image} of accessory ${accessory?.name} does not say PostgreSQL's major version. Give it, for instance 17.`,
    );
  }
  if (isSupportedMajor(major)) return major;
  throw new Problem(
    given === undefined
      ? `${setting}: the image ${accessory?.image} of accessory ${accessory?.name} says PostgreSQL ${major}, but backups are made of ${oldest} to ${newest}. If its tag means something else, give the server's major version.`
      : `${setting} ${major} must be the server's major version, from ${oldest} to ${newest}.`,
  );
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|::1)$/;

/** On a network of its own, the container's loopback is the container itself. */
function networkOf(host: string, network: string | undefined, name: SettingName): string {
  if (!LOOPBACK.test(host) || network === "host") return network ?? KAMAL_NETWORK;
  if (network === undefined) return "host";
  throw new Problem(
    `${name("postgres.host")} ${host} is the container itself on the Docker network ${network}. Give the server's name there, or ${name("postgres.network")} "host" for a server on the host.`,
  );
}

function hostsOf(
  { kamal, args, name }: DatabaseOptions,
  { accessory }: Server,
): readonly [string, ...string[]] {
  const setting = name("hosts");
  const found = [...new Set(args.hosts ?? accessory?.hosts ?? [])];
  const [first, ...others] = found;
  if (first !== undefined && first !== "" && others.length === 0) return [first];
  const whose =
    args.hosts === undefined
      ? `accessory ${accessory?.name} of ${kamal.config} runs on`
      : `${setting} names`;
  if (others.length === 0) throw new Problem(`${whose} no host. Give ${setting} exactly one.`);
  throw new Problem(
    `${whose} ${found.length} hosts (${found.join(", ")}), each with a server of its own, and a backup is of one server. Give ${setting} the one that is backed up; for another one declare a further backup, with another name, ${name("kamal.accessory")} and ${name("prefix")}.`,
  );
}

/** The container must have a password, also for a server that asks for none. */
const NOT_ASKED_FOR = "not-asked-for";

function passwordOf(
  options: DatabaseOptions,
  server: Server,
  log: ResourceLog,
): Pick<Database, "password" | "passwordFrom"> {
  const { args, kamal, name } = options;
  const given = args.postgres?.password;
  if (given !== undefined) return { password: pulumi.secret(given) };
  const { accessory, defaults } = server;
  const setting = name("postgres.password");
  const source = defaults?.password;
  if (source === undefined) {
    if (defaults?.trusts) return { password: pulumi.secret(NOT_ASKED_FOR) };
    throw new Problem(
      `${setting}: accessory ${accessory?.name} of ${kamal.config} has no POSTGRES_PASSWORD. Give the password.`,
    );
  }
  if ("value" in source) {
    log.warn(
      `the password of accessory ${accessory?.name} is in clear text in ${kamal.config}, and so perhaps in git. Put it into Kamal's secrets, and its name under env.secret.`,
    );
  }
  const password = pulumi.secret(textOf(options, server, source, setting));
  return { password, ...("secret" in source && { passwordFrom: source.secret }) };
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
