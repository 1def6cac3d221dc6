import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { Problem } from "../../common/problem.ts";
import type { Accessory } from "../../kamal/accessory.ts";
import {
  type KamalConfig,
  readKamalConfig,
  type SecretRef,
} from "../../kamal/configuration/config.ts";
import { destinationFile, type KamalPlace, rootOf } from "../../kamal/kamalCommand.ts";
import { type FoundSecret, readSecrets, secretFilePaths } from "../../kamal/secretsFile.ts";
import { asArgument, type SettingName } from "../pulumi/settingNames.ts";

export interface KamalArgs {
  /**
   * Path of the application's deploy.yml, from the program's folder.
   * @example "../shop/config/deploy.yml"
   */
  readonly config: string;
  /** Kamal's destination, as in `kamal -d production`. @default none */
  readonly destination?: string;
  /**
   * Name of the application, where deploy.yml leaves it to Ruby.
   * @default `service` of deploy.yml
   * @example "shop"
   */
  readonly service?: string;
  /** Key of the database under `accessories:`. @default the one that runs PostgreSQL, by its image or its variables */
  readonly databaseAccessory?: string;
  /** Key that our accessory gets under `accessories:`. @default "db_backup" */
  readonly accessory?: string;
  /**
   * File for the accessory's secrets, one that Kamal reads and git does not track.
   * @default `.kamal/secrets`, with a destination `.kamal/secrets.<destination>`
   */
  readonly secretsFile?: string;
  /**
   * Has the commands in Kamal's secrets, `$(...)`, run where Pulumi runs, all those of a file as Kamal does, once a secret that is
   * needed is made by one.
   * @default false: such a secret is asked for
   */
  readonly runSecretCommands?: boolean;
  /**
   * What stands in that file. `"literal"`: the secrets themselves, so git must not track it. `"outputs"`: look-ups of the
   * stack's outputs, `NAME=$(pulumi stack output NAME --stack ... --show-secrets)`, which Kamal runs; such a file may be in
   * git, and whoever runs Kamal needs `pulumi` with access to the stack. The program must export `secretOutputs`.
   * @default "literal"
   */
  readonly secrets?: "literal" | "outputs";
}

/** What the program knows of a Kamal application: its merged configuration, its secrets and the files that get our blocks. */
export interface KamalProject {
  readonly config: KamalConfig;
  /** The file whose `accessories:` gets our block: that of the destination if there is one. */
  readonly deployFile: string;
  readonly secretsFile: string;
  /**
   * Value of one of Kamal's secrets.
   * @param instead the argument of the program to give in its place, for the message
   * @throws Problem when it is missing, empty, or made by a command, which only Kamal may run
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

/** Whether other destinations may have their secrets in the file too, as in `.kamal/secrets-common`. */
export function isSharedFile({ destination }: AccessoryNames, secretsFile: string): boolean {
  return destination !== undefined && !secretsFile.endsWith(`.${destination}`);
}

/**
 * What the names of the accessory's secrets begin with among Kamal's. In a file that every destination reads each one has
 * names of its own; in a destination's own file there can be no other's.
 */
export function secretPrefix(names: AccessoryNames, secretsFile: string): string {
  const { key, destination } = names;
  const words = isSharedFile(names, secretsFile) ? [key, destination] : [key];
  return words.join("_").replace(/\W/g, "_").toUpperCase();
}

/** What the program may give in the place of deploy.yml's own settings, besides those below `kamal`. */
export interface GivenSettings {
  readonly registry?: RegistryArgs | undefined;
  readonly ssh?: { readonly user?: string; readonly port?: number } | undefined;
}

/**
 * Reads a Kamal application from disk.
 * @param name how messages name the arguments
 * @throws Problem that names the setting, the path and what to do
 */
export function readKamalProject(
  args: KamalArgs,
  { registry = {}, ssh = {} }: GivenSettings = {},
  name: SettingName = asArgument,
): KamalProject {
  const base = {
    path: args.config,
    text: readSetting(name("kamal.config"), args.config, deployFileRemedy()),
  };
  const ofDestination = args.destination && destinationFile(args.config, args.destination);
  const config = readKamalConfig({
    base,
    ...(args.destination !== undefined &&
      ofDestination !== undefined && {
        destination: {
          name: args.destination,
          path: ofDestination,
          text: readSetting(name("kamal.destination"), ofDestination, DESTINATION),
        },
      }),
    env: process.env,
    given: {
      ...(args.service !== undefined && { service: args.service }),
      ...givenIn("ssh", ssh, ["user", "port"]),
      ...givenIn("registry", registry, ["server", "username"]),
    },
    argument: name,
  });
  const root = rootOf(args.config);
  const paths = secretPaths(config, root, args);
  return {
    config,
    deployFile: ofDestination || args.config,
    secretsFile: args.secretsFile ?? (paths.at(-1) as string),
    secret: (secret, instead) =>
      readSecret(paths, secret, {
        instead,
        permission: name("kamal.runSecretCommands"),
        ...(args.runSecretCommands && { run: commandRunner(root, args.destination) }),
      }),
  };
}

/** How Kamal, run in that folder, finds the configuration. */
export function kamalPlace({ config, destination }: KamalArgs): KamalPlace {
  return { config: relative(rootOf(config), config), destination };
}

/** The login of the registry, where deploy.yml does not say it in a way that can be read here. */
export interface RegistryArgs {
  /** @default `registry.server` of deploy.yml, else Docker Hub @example "ghcr.io" */
  readonly server?: string;
  /** @default `registry.username` of deploy.yml */
  readonly username?: string;
  /** @default the secret that `registry.password` of deploy.yml names */
  readonly password?: pulumi.Input<string>;
}

/** A login of one registry. */
export interface RegistryLogin {
  readonly server: string;
  readonly username: string;
  readonly password: pulumi.Input<string>;
}

/**
 * Kamal's own login, so that what Kamal can pull after us, we pushed; undefined where it has none.
 * @param given what the program gives of it
 * @throws Problem when a part of it cannot be read here
 */
export function registryLogin(
  project: KamalProject,
  given: RegistryArgs = {},
  name: SettingName = asArgument,
): RegistryLogin | undefined {
  const { registry } = project.config;
  const { server, username } = registry;
  const password = given.password ?? registry.password;
  if (username === undefined || password === undefined) return undefined;
  return {
    server: server ?? "docker.io",
    username:
      typeof username === "string"
        ? username
        : project.secret(username.secret, name("registry.username")),
    password: pulumi.secret(
      given.password ?? project.secret((password as SecretRef).secret, name("registry.password")),
    ),
  };
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

interface SecretOptions {
  /** The argument that can be given in the place of the secret. */
  readonly instead: string;
  /** The argument that has commands run. */
  readonly permission: string;
  readonly run?: (command: string) => string;
}

function readSecret(paths: readonly string[], name: string, options: SecretOptions): string {
  const { instead, run } = options;
  const found = paths.filter((path) => existsSync(path));
  for (const path of found.toReversed()) {
    const text = readFileSync(path, "utf8");
    const secret = readSecrets(text, process.env).get(name);
    if (secret === undefined) continue;
    const made = typeof secret.value !== "string" && run;
    const result = made ? readSecrets(text, process.env, run).get(name) : secret;
    return checkedSecret(path, name, result ?? secret, options);
  }
  const looked = found.length > 0 ? found.join(", ") : paths.join(", ");
  throw new Problem(
    `secret ${name} is not in ${looked}. Add it there, or give ${instead} to the program.`,
  );
}

/** Output by folder, destination and command: a password manager asks once. */
const outputs = new Map<string, string>();

/** Where Kamal would go on with an empty value, a command that fails is an error. */
function commandRunner(folder: string, destination: string | undefined) {
  return (command: string): string => {
    const key = JSON.stringify([folder, destination, command]);
    const known = outputs.get(key);
    if (known !== undefined) return known;
    const { status, stdout, stderr, error } = spawnSync("sh", ["-c", command], {
      cwd: folder,
      env: { ...process.env, ...(destination !== undefined && { KAMAL_DESTINATION: destination }) },
      encoding: "utf8",
      timeout: COMMAND_LIMIT_MS,
    });
    if (status !== 0) {
      const reason = error?.message ?? (stderr.trim().split("\n").at(-1) || `exit code ${status}`);
      throw new Problem(
        `a command in Kamal's secrets failed: ${command.split(" ")[0]}: ${reason}. Run kamal secrets print in ${folder} to see it there.`,
      );
    }
    const output = stdout.replace(/\r?\n$/, "");
    outputs.set(key, output);
    return output;
  };
}

/** A person may have to unlock a password manager. */
const COMMAND_LIMIT_MS = 120_000;

/** Kamal itself would go on with what is left of it, and the container would fail for another reason. */
function checkedSecret(
  path: string,
  name: string,
  { value, unset }: FoundSecret,
  { instead, permission }: SecretOptions,
): string {
  if (typeof value !== "string") {
    throw new Problem(
      `${path}: secret ${name} is made by a command, which is not run here. Give ${instead} to the program, as a secret of the stack, or set ${permission} to have it run as kamal runs it.`,
    );
  }
  if (unset.length > 0) {
    const [first = "", ...others] = unset.map((variable) => `$${variable}`);
    const names = others.length > 0 ? `${others.join(", ")} and ${first}` : first;
    const are = others.length > 0 ? "are" : "is";
    throw new Problem(
      value === ""
        ? `${path}: secret ${name} is empty, because ${names} ${are} not set here. Set it for pulumi as it is set for kamal, or give ${instead} to the program.`
        : `${path}: secret ${name} needs ${names}, which ${are} not set here. Set it for pulumi as it is set for kamal, write the value in single quotes if no variable is meant, or give ${instead} to the program.`,
    );
  }
  if (value === "") {
    throw new Problem(
      `${path}: secret ${name} is empty. Give it a value there, or give ${instead} to the program.`,
    );
  }
  return value;
}

/** Where `secrets_path` is left to Ruby, the file that the program names is the only one that is known. */
function secretPaths(config: KamalConfig, root: string, args: KamalArgs): string[] {
  try {
    return secretFilePaths(args.destination, config.secretsPath).map((path) => join(root, path));
  } catch (error) {
    if (!(error instanceof Problem) || args.secretsFile === undefined) throw error;
    return [args.secretsFile];
  }
}

/** What is given of a mapping of deploy.yml, in its form. */
function givenIn<T extends object>(
  setting: string,
  given: T,
  keys: readonly (keyof T)[],
): Record<string, unknown> {
  const entries = keys.map((key) => [key, given[key]] as const);
  const set = entries.filter(([, value]) => value !== undefined);
  return set.length > 0 ? { [setting]: Object.fromEntries(set) } : {};
}
