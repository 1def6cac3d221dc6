import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { isIgnoredByGit, isTrackedByGit } from "../../common/git.ts";
import { Problem } from "../../common/problem.ts";
import { knownHostName, knownKeys } from "../../common/ssh/knownHosts.ts";
import type { KamalAccessoryConfig } from "../../kamal/configuration/accessoryConfig.ts";
import { type KamalConfig, readKamalConfig } from "../../kamal/configuration/config.ts";
import {
  accessoryNames,
  databaseAccessory,
  databaseDefaults,
  type VariableSource,
} from "../../kamal/configuration/database.ts";
import { isSupportedMajor, postgresMajor } from "../../kamal/configuration/postgresImage.ts";
import { destinationFile, rootOf } from "../../kamal/kamalCommand.ts";
import { placeOfAccessory } from "../../kamal/markedBlock.ts";
import { type FoundSecret, readSecrets, secretFilePaths } from "../../kamal/secretsFile.ts";
import { backsUp } from "../commands/adopt.ts";
import { type DatabaseUrl, parseDatabaseUrl } from "./databaseUrl.ts";
import { railsDatabases } from "./railsDatabases.ts";

/** What is backed up: exact names, or every database of the server. */
export type DatabaseNames = readonly [string, ...string[]] | "all";

/** One environment of the application, which becomes one stack. */
export interface Environment {
  /** Name of the stack. */
  readonly name: string;
  /** Kamal's destination; absent: `deploy.yml` alone. */
  readonly destination?: string;
  /** The host that runs the container. */
  readonly host: string;
  /** Whether deploy.yml does not say by itself that it is this host. */
  readonly givesHost: boolean;
  /** Major version of the server, and whether its image says it. */
  readonly major: number;
  readonly givesMajor: boolean;
  /** A server that is no accessory. */
  readonly managed?: DatabaseUrl;
  /** What is backed up unless somebody says otherwise. */
  readonly databases: DatabaseNames;
  /** Folder of its backups in the bucket. */
  readonly prefix: string;
  /** The password is among Kamal's secrets, or needs none. */
  readonly hasPassword: boolean;
}

/** What is known of an application before anything is asked. */
export interface Application {
  readonly service: string;
  /** Name of the backup in deploy.yml: that of a block which is there already, else the service. */
  readonly backup: string;
  /** The folder in which Kamal is run. */
  readonly folder: string;
  /** Path of deploy.yml. */
  readonly config: string;
  readonly environments: readonly [Environment, ...Environment[]];
  /** Kamal's secrets are in git, or would be: look-ups of the stack's outputs stand in them. */
  readonly secretsInGit: boolean;
  /** The application is in a git repository. */
  readonly inGit: boolean;
  /** A secret that is needed is made by a command. */
  readonly runsSecretCommands: boolean;
  /** Nothing can be pushed to the application's registry from here. */
  readonly buildOnHost: boolean;
  /** The accessory that was chosen where several run PostgreSQL. */
  readonly accessory?: string | undefined;
  /** What was found on the way, a sentence each. */
  readonly remarks: readonly string[];
}

/** What is given beside the files. */
export interface ReadingOptions {
  /** Path of deploy.yml. */
  readonly config: string;
  /** Only these destinations. @default all that have a file */
  readonly destinations: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Whether a program can be started here. */
  readonly has: (program: string) => boolean;
  /** Where the keys of hosts are kept. */
  readonly knownHosts: string;
  readonly host?: string | undefined;
  readonly major?: number | undefined;
  readonly accessory?: string | undefined;
}

/**
 * Reads an application as Kamal does, and decides what its backup needs.
 * @throws Problem when it is none, or one that cannot be backed up, in a sentence that says what to give
 */
export async function readApplication(options: ReadingOptions): Promise<Application> {
  const files = filesOf(options);
  const read = files.map((file) => readFile(file, options));
  const [first] = read as [Found, ...Found[]];
  const secretsInGit = await isAnyInGit(read.map(({ secretsFile }) => secretsFile));
  const buildOnHost = read.some(({ config }) => cannotPush(config)) || !options.has("docker");
  const needed = read.flatMap((each) => neededSecrets(each, buildOnHost));
  const runsSecretCommands = needed.some(({ state }) => state === "command");
  return {
    service: first.config.service,
    backup: first.block ?? first.config.service,
    folder: rootOf(options.config),
    config: options.config,
    environments: read.map(({ environment }) => environment) as [Environment, ...Environment[]],
    secretsInGit,
    inGit: (await isIgnoredByGit(resolve(options.config))) !== undefined,
    runsSecretCommands,
    buildOnHost,
    accessory: options.accessory,
    remarks: [
      ...(secretsInGit
        ? [
            `${relativeTo(rootOf(options.config), first.secretsFile)} is tracked by git, or not ignored by it. The backup's secrets stay out of it: Kamal looks them up in the stack (secrets: "outputs"), so whoever runs kamal needs pulumi and the stack's passphrase.`,
          ]
        : []),
      ...(runsSecretCommands
        ? [
            `A password is made by a command in Kamal's secrets. pulumi up runs it, as Kamal does (runSecretCommands).`,
          ]
        : []),
      ...(buildOnHost ? [whyOnHost(first.config)] : []),
      ...new Set(read.flatMap((each) => unknownHost(each, options.knownHosts))),
      ...new Set(read.flatMap(({ remarks }) => remarks)),
      ...new Set(needed.flatMap(({ remark }) => (remark === undefined ? [] : [remark]))),
    ],
  };
}

/** The file of an environment, and what it lies on. */
interface KamalFile {
  /** Undefined: the base alone. */
  readonly destination: string | undefined;
  readonly base: string;
  readonly over: string | undefined;
}

interface Found {
  readonly config: KamalConfig;
  readonly environment: Environment;
  readonly secretsFile: string;
  readonly secrets: ReadonlyMap<string, FoundSecret>;
  readonly passwordFrom: VariableSource | undefined;
  /** Name of a backup's block that is there already. */
  readonly block: string | undefined;
  readonly remarks: readonly string[];
}

const PRODUCTION = /^(?:production|prod|live|main)$/;

/** @throws Problem where there is no deploy.yml, or a destination has no file */
function filesOf({ config, destinations }: ReadingOptions): KamalFile[] {
  const base = readText(config);
  if (base === undefined) {
    throw new Problem(
      `${config} is not here. Run init in the folder of an application that Kamal deploys, or give its file with --config.`,
    );
  }
  const all = destinationsBeside(config);
  const unknown = destinations.find((name) => !all.includes(name));
  if (unknown !== undefined) {
    throw new Problem(
      `--destination ${unknown}: there is no ${destinationFile(config, unknown)} (destinations: ${all.join(", ") || "none"}).`,
    );
  }
  const file = (destination: string): KamalFile => ({
    destination,
    base,
    over: readText(destinationFile(config, destination)) ?? "",
  });
  const chosen = (destinations.length > 0 ? destinations : all).map(file);
  const isDeployedAlone =
    all.length === 0 ||
    (destinations.length === 0 &&
      !all.some((name) => PRODUCTION.test(name)) &&
      !/^require_destination:\s*(?:true|yes|on)\b/m.test(base) &&
      /^\s+(?:host|hosts|role|roles):/m.test(base));
  return isDeployedAlone ? [{ destination: undefined, base, over: undefined }, ...chosen] : chosen;
}

/** Production first: what is said of one environment is said of that one. */
function destinationsBeside(config: string): string[] {
  const extension = extname(config);
  const stem = `${basename(config, extension)}.`;
  const names = readdirSync(dirname(config))
    .filter((name) => name.startsWith(stem) && name.endsWith(".yml"))
    .map((name) => name.slice(stem.length, -".yml".length))
    .filter((name) => /^[\w-]+$/.test(name));
  const rank = (name: string) => (PRODUCTION.test(name) ? 0 : 1);
  return names.toSorted((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new Problem(`${path} cannot be read (${code}).`);
  }
}

/** How a message calls what can be given here. */
const OPTIONS: Readonly<Record<string, string>> = {
  database: "--database",
  "kamal.databaseAccessory": "--accessory",
  hosts: "--host",
  "postgres.host": "the variable DATABASE_URL",
  "postgres.major": "--database-major",
};

function readFile(file: KamalFile, options: ReadingOptions): Found {
  const { destination, base, over } = file;
  const path =
    destination === undefined ? options.config : destinationFile(options.config, destination);
  const config = readKamalConfig({
    base: { path: options.config, text: base },
    ...(destination !== undefined && {
      destination: { name: destination, path, text: over ?? "" },
    }),
    env: options.env,
    argument: (argument) => OPTIONS[argument] ?? argument,
  });
  refuseOtherBackup(config, [base, over ?? ""]);
  const folder = rootOf(options.config);
  const paths = secretFilePaths(destination, config.secretsPath).map((name) => join(folder, name));
  const secrets = new Map(
    paths
      .filter((name) => existsSync(name))
      .flatMap((name) => [...readSecrets(readFileSync(name, "utf8"), options.env)]),
  );
  const accessory = databaseAccessory(config, {
    name: options.accessory,
    major: options.major,
    argument: (name) => OPTIONS[name] ?? name,
  });
  const place = {
    name: destination ?? "production",
    ...(destination !== undefined && { destination }),
    prefix: [config.service, destination].filter(Boolean).join("/"),
  };
  const common = {
    config,
    secrets,
    secretsFile: paths.at(-1) as string,
    block: Object.keys(config.accessories)
      .map((key) => blockOf(key, [over ?? "", base]))
      .find((name) => name !== undefined),
  };
  if (accessory === undefined) {
    const managed = managedServer(config, secrets, options);
    return {
      ...common,
      environment: { ...place, ...managed },
      passwordFrom: undefined,
      remarks: [],
    };
  }
  return { ...common, ...ofAccessory(accessory, place, { config, options, secrets, folder }) };
}

type Place = Pick<Environment, "name" | "destination" | "prefix">;

function ofAccessory(
  accessory: KamalAccessoryConfig,
  place: Place,
  {
    config,
    options,
    secrets,
    folder,
  }: {
    readonly config: KamalConfig;
    readonly options: ReadingOptions;
    readonly secrets: ReadonlyMap<string, FoundSecret>;
    readonly folder: string;
  },
): Pick<Found, "environment" | "passwordFrom" | "remarks"> {
  const defaults = databaseDefaults(accessory);
  const hosts = [...new Set(accessory.hosts)];
  const host = options.host ?? hosts[0] ?? "";
  const said = postgresMajor(accessory.image ?? "");
  const major = options.major ?? said;
  const where = `accessory ${accessory.name} of ${config.path}`;
  if (options.major !== undefined && !isSupportedMajor(options.major)) {
    throw new Problem(
      `--database-major ${options.major}: backups are made of PostgreSQL 14 to 18. Give the major version that the server runs.`,
    );
  }
  if (major === undefined || !isSupportedMajor(major)) {
    throw new Problem(
      `the image ${accessory.image} of ${where} ${major === undefined ? "does not say PostgreSQL's major version" : `says PostgreSQL ${major}, and backups are made of 14 to 18`}. Give it with --database-major, for instance 17.`,
    );
  }
  const passwordFrom = defaults.password;
  const named = defaults.database && knownValue(defaults.database, secrets);
  const ofRails = railsDatabases(folder, place.destination, options.env);
  return {
    environment: {
      ...place,
      host,
      givesHost: hosts.length > 1,
      major,
      givesMajor: said !== major,
      databases: databasesFrom(named, ofRails),
      hasPassword: defaults.trusts || passwordFrom !== undefined,
    },
    passwordFrom,
    remarks: [
      ...(hosts.length > 1 && options.host === undefined
        ? [
            `${where} runs on ${hosts.join(", ")}, each with a server of its own. ${host} is backed up; --host chooses another.`,
          ]
        : []),
      ...(passwordFrom !== undefined && "value" in passwordFrom
        ? [
            `The password of ${where} is in clear text in that file, and so perhaps in git. Put it into Kamal's secrets, and its name under env.secret.`,
          ]
        : []),
    ],
  };
}

/**
 * What Rails names, where it agrees with the accessory; without either every database, since the server has but those of the
 * application.
 */
function databasesFrom(named: string | undefined, ofRails: readonly string[]): DatabaseNames {
  const [first, ...others] = ofRails;
  if (first === undefined) return named === undefined ? "all" : [named];
  return named === undefined || ofRails.includes(named) ? [first, ...others] : "all";
}

/** Where it is known here. */
function knownValue(
  source: VariableSource,
  secrets: ReadonlyMap<string, FoundSecret>,
): string | undefined {
  if ("value" in source) return source.value;
  const value = "secret" in source ? secrets.get(source.secret)?.value : undefined;
  return typeof value === "string" && value !== "" ? value : undefined;
}

function managedServer(
  config: KamalConfig,
  secrets: ReadonlyMap<string, FoundSecret>,
  { env, host, major }: ReadingOptions,
): Omit<Environment, "name" | "destination" | "prefix"> {
  const text = env["DATABASE_URL"] ?? knownValue({ secret: "DATABASE_URL" }, secrets);
  if (text === undefined || major === undefined || host === undefined) {
    const missing = [
      ...(text === undefined ? ["its address in the variable DATABASE_URL"] : []),
      ...(major === undefined ? ["its major version with --database-major"] : []),
      ...(host === undefined ? ["the host that runs the backups with --host"] : []),
    ];
    throw new Problem(
      `no accessory of ${config.path} runs PostgreSQL (accessories: ${accessoryNames(config)}). For a managed server, or one on the host itself, give ${listed(missing)}.`,
    );
  }
  const managed = parseDatabaseUrl(text);
  return {
    host,
    givesHost: true,
    major,
    givesMajor: true,
    managed,
    databases: managed.database === undefined ? "all" : [managed.database],
    hasPassword: managed.password !== undefined,
  };
}

function listed(parts: readonly string[]): string {
  const [last = "", ...before] = parts.toReversed();
  return before.length === 0 ? last : `${before.reverse().join(", ")} and ${last}`;
}

/** @throws Problem that points to the command which takes over from it */
function refuseOtherBackup(config: KamalConfig, texts: readonly string[]): void {
  const others = Object.values(config.accessories).filter(
    (accessory) => backsUp(accessory) && blockOf(accessory.name, texts) === undefined,
  );
  const [other] = others;
  if (other === undefined) return;
  throw new Problem(
    `accessory ${other.name} of ${config.path} backs up PostgreSQL already (${other.image ?? "no image"}). To take over from it: npx kamal-postgres-backup adopt.`,
  );
}

/** A secret that the backup needs, and whether it can be read where Pulumi runs. */
interface NeededSecret {
  readonly state: "known" | "command" | "unset" | "missing";
  readonly remark?: string;
}

function neededSecrets(found: Found, buildOnHost: boolean): NeededSecret[] {
  const { config, secrets, passwordFrom, secretsFile } = found;
  const { username, password } = buildOnHost ? {} : config.registry;
  const names = [
    passwordFrom && "secret" in passwordFrom ? passwordFrom.secret : undefined,
    typeof username === "object" ? username.secret : undefined,
    password?.secret,
  ];
  return [...new Set(names)].flatMap((name): NeededSecret[] => {
    if (name === undefined) return [];
    const secret = secrets.get(name);
    if (secret === undefined) {
      return [
        {
          state: "missing",
          remark: `The secret ${name} is not in ${secretsFile}. Add it there before pulumi up, as Kamal needs it too.`,
        },
      ];
    }
    if (typeof secret.value !== "string") return [{ state: "command" }];
    if (secret.unset.length === 0) return [{ state: "known" }];
    const variables = secret.unset.join(", ");
    return [
      {
        state: "unset",
        remark: `The secret ${name} comes from ${variables}, which is not set here. Set it for pulumi up as for kamal.`,
      },
    ];
  });
}

/** Whether our secrets would reach whoever has the repository. */
async function isAnyInGit(files: readonly string[]): Promise<boolean> {
  for (const file of files) {
    if (await isTrackedByGit(file)) return true;
    if (!existsSync(file) && (await isIgnoredByGit(file)) === false) return true;
  }
  return false;
}

/** Behind a bastion one cannot simply log in, and ssh's own settings may say where else keys are. */
function unknownHost({ config, environment }: Found, file: string): string[] {
  const { user = "root", port = 22, proxies } = config.ssh;
  const { host } = environment;
  if (proxies.length > 0 || knownKeys(knownHostName(host, port), file).length > 0) return [];
  const way = port === 22 ? `${user}@${host}` : `-p ${port} ${user}@${host}`;
  return [
    `The host key of ${host} is not in ${file}. Log in once before pulumi up, and compare it: ssh ${way}`,
  ];
}

/** A registry that Kamal runs on the developer's machine (2.8, `registry.server: localhost:5555`) cannot be reached from the host. */
function cannotPush({ registry }: KamalConfig): boolean {
  return (
    registry.password === undefined ||
    registry.username === undefined ||
    /^localhost[:$]/.test(registry.server ?? "")
  );
}

function whyOnHost(config: KamalConfig): string {
  return cannotPush(config)
    ? `deploy.yml has no registry with a login, so the image is built on the host (build: "host").`
    : `docker is not on PATH, so the image is built on the host (build: "host").`;
}

function relativeTo(folder: string, path: string): string {
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path;
}

/** Name of the backup of this package that has written an accessory. */
function blockOf(key: string, texts: readonly string[]): string | undefined {
  return texts.map((text) => placeOfAccessory(text, key).backup).find((name) => name !== undefined);
}
