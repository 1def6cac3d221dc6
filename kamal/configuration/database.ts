import { Problem } from "../../common/problem.ts";
import type { KamalAccessoryConfig } from "./accessoryConfig.ts";
import type { KamalConfig } from "./config.ts";
import { isPostgresImage } from "./postgresImage.ts";

/** Where a variable of a container has its value. */
export type VariableSource =
  /** In clear in deploy.yml. */
  | { readonly value: string }
  /** In Kamal's secrets, under this name. */
  | { readonly secret: string }
  /** In a file inside the container, whose path this variable has. */
  | { readonly file: string };

/** What a database accessory says about its server. */
export interface DatabaseDefaults {
  /** Name of the container, which is its host name on the Docker network. */
  readonly host: string;
  /** What is said about the port; undefined: PostgreSQL's own, 5432. */
  readonly port?: VariableSource | undefined;
  /** Undefined: the image's own, `postgres`. */
  readonly user?: VariableSource | undefined;
  /** Undefined when the accessory names no database. */
  readonly database?: VariableSource | undefined;
  readonly password?: VariableSource | undefined;
  /** Whether the server lets everybody in without a password. */
  readonly trusts: boolean;
  /** The Docker network on which the server can be reached by its name. */
  readonly network: string;
}

/** Which accessory is meant. */
export interface DatabaseChoice {
  /** Key under `accessories:`. @default the only one that runs PostgreSQL */
  readonly name?: string | undefined;
  /** Major version of the server as the program gives it: then any image is believed. */
  readonly major?: number | undefined;
  /** How messages name the arguments of the program. @default by their paths */
  readonly argument?: (path: string) => string;
}

/**
 * The accessory that runs the database: by the name of its image, else by the variables that a server's image takes.
 * @returns undefined when none of them runs PostgreSQL
 * @throws Problem when several do, or the one that is named does not
 */
export function databaseAccessory(
  config: KamalConfig,
  { name, major, argument = (path) => path }: DatabaseChoice = {},
): KamalAccessoryConfig | undefined {
  const all = Object.values(config.accessories);
  if (name !== undefined) {
    const named = all.find((accessory) => accessory.name === name);
    if (named === undefined) {
      throw new Problem(
        `${argument("kamal.databaseAccessory")}: deploy.yml has no accessory "${name}" (it has: ${accessoryNames(config)}). Give one of them.`,
      );
    }
    if (major === undefined) refuseOtherServer(named, argument);
    return named;
  }
  const unreadable: Problem[] = [];
  const byImage = all.filter((accessory) => {
    try {
      return isPostgresImage(accessory.image ?? "");
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      unreadable.push(error);
      return false;
    }
  });
  const found = byImage.length > 0 ? byImage : all.filter(isConfiguredAsServer);
  if (found.length > 1) {
    throw new Problem(
      `deploy.yml has several accessories that run PostgreSQL (${found.map((a) => a.name).join(", ")}). Give one of them as ${argument("kamal.databaseAccessory")}.`,
    );
  }
  if (found[0] === undefined && unreadable[0]) throw unreadable[0];
  return found[0];
}

/** The accessories of deploy.yml, for a message. */
export function accessoryNames(config: KamalConfig): string {
  return Object.keys(config.accessories).join(", ") || "none";
}

function refuseOtherServer(
  accessory: KamalAccessoryConfig,
  argument: (path: string) => string,
): void {
  const { name, image = "none" } = accessory;
  if (isPostgresImage(image) || isConfiguredAsServer(accessory)) return;
  throw new Problem(
    `${argument("kamal.databaseAccessory")}: accessory ${name} has the image ${image}, which is not known as PostgreSQL, and no variable such as POSTGRES_USER or POSTGRES_PASSWORD says that it is. Give the accessory that runs the database; if this is the one, give ${argument("postgres.major")} too, for instance 17.`,
  );
}

/** Variables of the images of docker-library/postgres and Bitnami, which those made from them share. */
const OF_SERVER =
  /^(?:POSTGRES_(?:USER|PASSWORD|DB|INITDB_ARGS|INITDB_WALDIR|HOST_AUTH_METHOD)(?:_FILE)?|POSTGRESQL_(?:USERNAME|PASSWORD|DATABASE|POSTGRES_PASSWORD)|PGDATA)$/;
/** Variables of a program that connects to a server elsewhere, and may have its login under the same names. */
const OF_CLIENT = /HOST$|_URL$|^POSTGRES_(?:DATABASE|SERVER|SEEDS)$|^(?:SCHEDULE|S3_BUCKET)$/;

function isConfiguredAsServer({ env }: KamalAccessoryConfig): boolean {
  try {
    const names = [...Object.keys(env.clear), ...env.secret.map(({ name }) => name)];
    return (
      names.some((name) => OF_SERVER.test(name)) && !names.some((name) => OF_CLIENT.test(name))
    );
  } catch (error) {
    if (error instanceof Problem) return false;
    throw error;
  }
}

/**
 * Settings of the server as the official image's entry point reads them (docker-library/postgres, docker-entrypoint.sh), and
 * as Bitnami's does, whose names come second.
 */
export function databaseDefaults(accessory: KamalAccessoryConfig): DatabaseDefaults {
  const variable = (...names: string[]) => variableOf(accessory, names);
  return {
    get host() {
      return accessory.network === "host" ? "127.0.0.1" : accessory.service;
    },
    get port() {
      return portOfCommand(accessory.cmd) ?? variable("PGPORT", "POSTGRESQL_PORT_NUMBER");
    },
    get user() {
      return variable("POSTGRES_USER", "POSTGRESQL_USERNAME");
    },
    get database() {
      return variable("POSTGRES_DB", "POSTGRESQL_DATABASE");
    },
    get password() {
      return variable("POSTGRES_PASSWORD", "POSTGRESQL_PASSWORD");
    },
    get trusts() {
      const method = variable("POSTGRES_HOST_AUTH_METHOD");
      return method !== undefined && "value" in method && method.value === "trust";
    },
    get network() {
      return accessory.network;
    },
  };
}

/** Docker takes what is in clear before the env file; Kamal 2.11 sets no variable that is empty in clear. */
function variableOf(
  { env }: KamalAccessoryConfig,
  names: readonly string[],
): VariableSource | undefined {
  for (const name of names) {
    if (name in env.clear && env.clear[name] !== "") return { value: env.clear[name] as string };
    const secret = env.secret.find((entry) => entry.name === name);
    if (secret) return { secret: secret.from };
    const file = `${name}_FILE`;
    if (file in env.clear || env.secret.some((entry) => entry.name === file)) return { file };
  }
  return undefined;
}

/**
 * The port on the server's command line, which counts before PGPORT: `-p 5433`, `-p5433`, `--port=5433`, `-c port=5433`. The
 * last one wins, and a setting's name counts in capitals too, as in PostgreSQL.
 */
function portOfCommand(cmd: string | undefined): VariableSource | undefined {
  if (cmd === undefined) return undefined;
  // Of `sh -c '...; exec postgres -p 5433'` what the server gets.
  const server = /(?:^|[\s/'";&|])(?:postgres|docker-entrypoint\.sh)(?=[\s'"]|$).*$/s.exec(cmd);
  const words = (server?.[0] ?? cmd).replace(/["']/g, "");
  const given = [
    ...words.matchAll(
      /(?<=\s|^)(?:-p\s*|--port[=\s]\s*|(?:-c\s*|--)[Pp][Oo][Rr][Tt]\s*=\s*)(\S+)/g,
    ),
  ];
  const port = given.at(-1)?.[1];
  return port === undefined ? undefined : { value: port };
}
