import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import type { Accessory } from "../../kamal/accessory.ts";
import { type KamalConfig, readKamalConfig } from "../../kamal/configuration/config.ts";
import { parseSecrets, secretFilePaths } from "../../kamal/secretsFile.ts";
import { asArgument, type SettingName } from "../pulumi/settingNames.ts";

export interface KamalArgs {
  /**
   * Path of the application's deploy.yml, from the program's folder.
   * @example "../shop/config/deploy.yml"
   */
  readonly config: string;
  /** Kamal's destination, as in `kamal -d production`. @default none */
  readonly destination?: string;
  /** Key of the database under `accessories:`. @default the one whose image is PostgreSQL's */
  readonly databaseAccessory?: string;
  /** Key that our accessory gets under `accessories:`. @default "db_backup" */
  readonly accessory?: string;
  /**
   * File for the accessory's secrets, one that Kamal reads and git does not track.
   * @default `.kamal/secrets`, with a destination `.kamal/secrets.<destination>`
   */
  readonly secretsFile?: string;
}

/** What the program knows of a Kamal application: its merged configuration, its secrets and the files that get our blocks. */
export interface KamalProject {
  readonly config: KamalConfig;
  /** The file whose `accessories:` gets our block: that of the destination if there is one. */
  readonly deployFile: string;
  readonly secretsFile: string;
  /**
   * Value of one of Kamal's secrets.
   * @throws Problem when it is missing or made by a command, which only Kamal may run
   */
  readonly secret: (name: string, instead: string) => string;
}

/** What an accessory is called. Plain values: they are known at preview, when image and keys may not be. */
export type AccessoryNames = Pick<Accessory, "key" | "service" | "destination" | "container">;

/**
 * Kamal's container names lack the destination, so that two on one host would collide: this one has it (Kamal 2.12,
 * `service_name` in lib/kamal/configuration/accessory.rb; basecamp/kamal#1415).
 */
export function accessoryNames(kamal: KamalArgs, service: string): AccessoryNames {
  const key = kamal.accessory ?? "db_backup";
  const { destination } = kamal;
  return {
    key,
    service,
    ...(destination !== undefined && { destination }),
    container: [service, destination, key].filter(Boolean).join("-"),
  };
}

/**
 * Reads a Kamal application from disk.
 * @param name how messages name the arguments below `kamal`
 * @throws Problem that names the setting, the path and what to do
 */
export function readKamalProject(args: KamalArgs, name: SettingName = asArgument): KamalProject {
  const base = {
    path: args.config,
    text: readSetting(name("kamal.config"), args.config, deployFileRemedy()),
  };
  const destinationFile = args.destination && destinationPath(args.config, args.destination);
  const config = readKamalConfig({
    base,
    ...(args.destination !== undefined &&
      destinationFile !== undefined && {
        destination: {
          name: args.destination,
          path: destinationFile,
          text: readSetting(name("kamal.destination"), destinationFile, DESTINATION),
        },
      }),
    env: process.env,
  });
  const folder = dirname(args.config);
  const root = basename(folder) === "config" ? dirname(folder) : folder;
  const paths = secretFilePaths(args.destination, config.secretsPath).map((path) =>
    join(root, path),
  );
  return {
    config,
    deployFile: destinationFile || args.config,
    secretsFile: args.secretsFile ?? (paths.at(-1) as string),
    secret: (name, instead) => readSecret(paths, name, instead),
  };
}

/** A login of one registry. */
export interface RegistryLogin {
  readonly server: string;
  readonly username: string;
  readonly password: pulumi.Input<string>;
}

/** Kamal's own login, so that what Kamal can pull after us, we pushed; undefined where it has none. */
export function registryLogin(project: KamalProject): RegistryLogin | undefined {
  const { server, username, password } = project.config.registry;
  if (username === undefined || password === undefined) return undefined;
  const instead = "registry.password as a literal in Kamal's secrets";
  return {
    server: server ?? "docker.io",
    username: typeof username === "string" ? username : project.secret(username.secret, instead),
    password: pulumi.secret(project.secret(password.secret, instead)),
  };
}

/** `config/deploy.yml` with destination `staging` is `config/deploy.staging.yml` (Kamal 2.11, lib/kamal/configuration.rb). */
function destinationPath(config: string, destination: string): string {
  const extension = extname(config);
  return `${config.slice(0, config.length - extension.length)}.${destination}.yml`;
}

const deployFileRemedy = () =>
  `Give the path of the application's deploy.yml, from the folder ${process.cwd()}.`;
const DESTINATION =
  "Give the name of a destination, as kamal -d takes it, whose file lies beside deploy.yml, or leave it out.";

function readSetting(setting: string, path: string, remedy: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const reason =
      code === "ENOENT"
        ? "does not exist"
        : code === "EACCES"
          ? "may not be read by this user"
          : `cannot be read (${code})`;
    throw new Problem(`${setting}: ${path} ${reason}. ${remedy}`);
  }
}

function readSecret(paths: readonly string[], name: string, instead: string): string {
  const found = paths.filter((path) => existsSync(path));
  for (const path of found.toReversed()) {
    const value = parseSecrets(readFileSync(path, "utf8"), process.env).get(name);
    if (typeof value === "string") return value;
    if (value !== undefined) {
      throw new Problem(
        `${path}: secret ${name} is made by a command, which is not run here. Give ${instead} to the program, as a secret of the stack.`,
      );
    }
  }
  const looked = found.length > 0 ? found.join(", ") : paths.join(", ");
  throw new Problem(
    `secret ${name} is not in ${looked}. Add it there, or give ${instead} to the program.`,
  );
}
