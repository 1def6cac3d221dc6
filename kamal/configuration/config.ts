import { Problem } from "../../common/problem.ts";
import { type Jump, readProxyJump } from "../../common/ssh/proxyJump.ts";
import { type KamalAccessoryConfig, readAccessories } from "./accessoryConfig.ts";
import { mergeSettings, type ReadingContext, Settings } from "./settings.ts";
import { type OpaqueExpression, readYamlWithErb, type SourceFile } from "./yamlWithErb.ts";

/** A value that stands in a secrets file under this name. */
export interface SecretRef {
  readonly secret: string;
}

/**
 * What we need of a Kamal configuration. A value is judged when it is read: reading a property whose value only Ruby could
 * evaluate throws a Problem that names the setting, the expression and the argument to give instead.
 */
export interface KamalConfig {
  /** Path of the file, that of the destination if there is one. */
  readonly path: string;
  readonly service: string;
  /** The application's own image, without registry and tag. */
  readonly image?: string | undefined;
  /** Processors that the application is built for, in Docker's words. */
  readonly arches: readonly string[];
  readonly destination?: string | undefined;
  readonly registry: {
    /** Absent: Docker Hub. */
    readonly server?: string | undefined;
    readonly username?: string | SecretRef | undefined;
    readonly password?: SecretRef | undefined;
  };
  readonly ssh: {
    /** Kamal's default is root. */
    readonly user?: string | undefined;
    /** Kamal's default is 22. */
    readonly port?: number | undefined;
    /** Bastions in front of the servers, in the order in which they are passed. */
    readonly proxies: readonly Jump[];
    /** Paths of private keys, as written. */
    readonly keys: string[];
    /** Private keys: names of secrets, or the keys themselves. */
    readonly keyData: string[];
    readonly keysOnly: boolean;
    /** Files of OpenSSH's settings that Kamal reads, as written; the user's own and the machine's, or none. */
    readonly config: "user" | "none" | string[];
  };
  readonly accessories: Record<string, KamalAccessoryConfig>;
  readonly logging?: { driver?: string; options?: Record<string, string> } | undefined;
  /** Base of the secrets files. @default .kamal/secrets */
  readonly secretsPath: string;
  /** Folder of the hooks. @default .kamal/hooks */
  readonly hooksPath: string;
  /** What was ignored in the files, a sentence each. */
  readonly warnings: readonly string[];
}

export interface KamalConfigFiles {
  readonly base: SourceFile;
  readonly destination?: SourceFile & { readonly name: string };
  /** Environment for `ENV[...]` in the files. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** What the program gives in the place of settings, in the form of the file. It counts before both files. */
  readonly given?: Readonly<Record<string, unknown>>;
  /** How messages name the arguments of the program. @default by their paths */
  readonly argument?: (path: string) => string;
}

/**
 * Reads deploy.yml and the file of a destination as Kamal merges them. Text in, value out: no Ruby, no files.
 * @throws Problem when a file is not YAML
 */
export function readKamalConfig({
  base,
  destination,
  env,
  given = {},
  argument = (path) => path,
}: KamalConfigFiles): KamalConfig {
  const variables = { ...env, KAMAL_DESTINATION: destination?.name };
  const baseYaml = readYamlWithErb(base, variables, "base");
  const overYaml = destination && readYamlWithErb(destination, variables, "destination");
  const context: ReadingContext = {
    path: destination?.path ?? base.path,
    opaque: new Map<string, OpaqueExpression>([...baseYaml.opaque, ...(overYaml?.opaque ?? [])]),
    argumentFor: (setting) => {
      const path = argumentFor(setting);
      return path && argument(path);
    },
  };
  if (destination && overYaml && !isFilled(overYaml.value)) {
    throw new Problem(
      `${destination.path} holds no settings, which Kamal refuses. Put a setting of the destination there, or leave ${argument("kamal.destination")} out.`,
    );
  }
  const merged = overYaml ? mergeSettings(baseYaml.value, overYaml.value) : baseYaml.value;
  const root = Settings.root(merged, context).with(given);
  refuseKamal1(root, base.path);
  return {
    path: context.path,
    get service() {
      return root.requiredText("service");
    },
    get image() {
      return root.text("image");
    },
    get arches() {
      const builder = root.mapping("builder");
      return builder.isList("arch") ? builder.texts("arch") : [builder.text("arch") ?? []].flat();
    },
    destination: destination?.name,
    get registry() {
      return readRegistry(root.mapping("registry"));
    },
    get ssh() {
      return readSsh(root.mapping("ssh"));
    },
    get accessories() {
      return readAccessories(root);
    },
    get logging() {
      return root.has("logging") ? readLogging(root.mapping("logging")) : undefined;
    },
    get secretsPath() {
      return root.text("secrets_path") ?? ".kamal/secrets";
    },
    get hooksPath() {
      return root.text("hooks_path") ?? ".kamal/hooks";
    },
    warnings: [...baseYaml.warnings, ...(overYaml?.warnings ?? [])],
  };
}

/** Keys that Kamal 1 had and Kamal 2 refuses (1.9.3 and 2.11, lib/kamal/configuration/docs). */
const KAMAL_1 = ["traefik", "healthcheck", "stop_wait_time"];

/**
 * Kamal 1 has another place for secrets, no names of their own for them in the container, and no network: what would be
 * rendered here breaks every command of it.
 * @throws Problem
 */
function refuseKamal1(root: Settings, path: string): void {
  const builder = root.isMapping("builder") ? root.mapping("builder") : undefined;
  const key =
    KAMAL_1.find((name) => root.names.includes(name)) ??
    builder?.names
      .filter(
        (name) =>
          name === "multiarch" || (/^(?:local|remote)$/.test(name) && builder.isMapping(name)),
      )
      .map((name) => builder.name(name))[0];
  if (key === undefined) return;
  throw new Problem(
    `${path}: ${key} is a setting of Kamal 1, which cannot run what is rendered here. Upgrade the application to Kamal 2 first: https://kamal-deploy.org/docs/upgrading/overview/`,
  );
}

function readRegistry(registry: Settings): KamalConfig["registry"] {
  return {
    get server() {
      return registry.text("server");
    },
    get username() {
      return registry.isList("username")
        ? firstSecret(registry, "username")
        : registry.text("username");
    },
    get password() {
      if (!registry.has("password")) return undefined;
      return firstSecret(registry, "password");
    },
  };
}

/** Kamal's way to say that a value is secret: a list with the secret's name. */
function firstSecret(registry: Settings, key: string): SecretRef {
  const secret = registry.isList(key) ? registry.texts(key)[0] : undefined;
  if (secret !== undefined) return { secret };
  throw registry.problem(
    key,
    "is not a list with the name of a secret",
    "Put the value into Kamal's secrets and its name here, [NAME]",
  );
}

function readSsh(ssh: Settings): KamalConfig["ssh"] {
  return {
    get user() {
      return ssh.text("user");
    },
    get port() {
      return ssh.port("port");
    },
    get proxies() {
      return readProxies(ssh);
    },
    get keys() {
      return ssh.texts("keys");
    },
    get keyData() {
      return ssh.texts("key_data");
    },
    get keysOnly() {
      return ssh.flag("keys_only");
    },
    get config() {
      if (ssh.isList("config")) return ssh.texts("config");
      const text = ssh.text("config") ?? "true";
      return text === "true" ? "user" : text === "false" ? "none" : [text];
    },
  };
}

/**
 * Kamal hands the text to Net::SSH, as root where nobody is named, which reaches the host from the bastion that is named first,
 * and that one through the others (Kamal 2.11, lib/kamal/configuration/ssh.rb; net-ssh 7.3, lib/net/ssh/proxy/jump.rb). OpenSSH's
 * own order is the other way round.
 */
function readProxies(ssh: Settings): readonly Jump[] {
  if (ssh.has("proxy_command") && !ssh.has("proxy")) {
    throw ssh.problem(
      "proxy_command",
      "cannot be used here: it is a command of one machine",
      "Write ssh.proxy as user@host",
    );
  }
  const text = ssh.text("proxy");
  if (text === undefined) return [];
  const jumps = readProxyJump(text.includes("@") ? text : `root@${text}`);
  if (!jumps) throw ssh.problem("proxy", `"${text}" is not [user@]host[:port]`, "Write it so");
  const [nearest, ...before] = jumps;
  return [...before, nearest];
}

function readLogging(logging: Settings): NonNullable<KamalConfig["logging"]> {
  const driver = logging.text("driver");
  return {
    ...(driver !== undefined && { driver }),
    ...(logging.has("options") && { options: logging.mapping("options").lazyTexts() }),
  };
}

/** Arguments of the program that replace a setting of deploy.yml. */
const ARGUMENTS: readonly (readonly [setting: RegExp, argument: string])[] = [
  [/^service$/, "kamal.service"],
  [/^accessories\.[^.]+\.(?:hosts?|roles?|tags?)(?:\[\d+\])?$|^servers/, "hosts"],
  [/^accessories\.[^.]+\.service$/, "postgres.host"],
  [/^accessories\.[^.]+\.(?:image|registry.*)$/, "postgres.major"],
  [/^accessories\.[^.]+\.(?:network|options.*)$/, "postgres.network"],
  [
    /^accessories\.[^.]+\.(?:cmd|env\.(?:clear\.)?(?:PGPORT|POSTGRESQL_PORT_NUMBER))$/,
    "postgres.port",
  ],
  [/^accessories\.[^.]+\.env\.(?:clear\.)?(?:POSTGRES_USER|POSTGRESQL_USERNAME)$/, "postgres.user"],
  [/^accessories\.[^.]+\.env\.(?:clear\.)?(?:POSTGRES_DB|POSTGRESQL_DATABASE)$/, "database"],
  [/^accessories\.[^.]+\.env\./, "postgres.password"],
  [/^accessories$/, "kamal.databaseAccessory"],
  [/^registry\.server$/, "registry.server"],
  [/^registry\.username/, "registry.username"],
  [/^registry\.password/, "registry.password"],
  [/^ssh\.user$/, "ssh.user"],
  [/^ssh\.port$/, "ssh.port"],
  [/^ssh\.proxy/, "ssh.proxy"],
  [/^ssh\.key/, "ssh.privateKey"],
  [/^image$/, "repository"],
  [/^builder/, "platform"],
  [/^secrets_path$/, "kamal.secretsFile"],
];

function argumentFor(setting: string): string | undefined {
  return ARGUMENTS.find(([pattern]) => pattern.test(setting))?.[1];
}

function isFilled(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length > 0;
}
