import { Problem } from "../../common/problem.ts";
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
  readonly service: string;
  readonly destination?: string | undefined;
  readonly registry: {
    /** Absent: Docker Hub. */
    readonly server?: string | undefined;
    readonly username?: string | SecretRef | undefined;
    readonly password?: SecretRef | undefined;
  };
  readonly ssh: {
    /** @default root */
    readonly user: string;
    /** @default 22 */
    readonly port: number;
    readonly proxy?:
      | { readonly user: string; readonly host: string; readonly port: number }
      | undefined;
    /** Paths of private keys, as written. */
    readonly keys: string[];
    readonly keysOnly: boolean;
  };
  readonly accessories: Record<string, KamalAccessoryConfig>;
  readonly logging?: { driver?: string; options?: Record<string, string> } | undefined;
  /** Base of the secrets files. @default .kamal/secrets */
  readonly secretsPath: string;
  /** What was ignored in the files, a sentence each. */
  readonly warnings: readonly string[];
}

export interface KamalConfigFiles {
  readonly base: SourceFile;
  readonly destination?: SourceFile & { readonly name: string };
  /** Environment for `ENV[...]` in the files. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads deploy.yml and the file of a destination as Kamal merges them. Text in, value out: no Ruby, no files.
 * @throws Problem when a file is not YAML
 */
export function readKamalConfig({ base, destination, env }: KamalConfigFiles): KamalConfig {
  const variables = { ...env, KAMAL_DESTINATION: destination?.name };
  const baseYaml = readYamlWithErb(base, variables, "base");
  const overYaml = destination && readYamlWithErb(destination, variables, "destination");
  const context: ReadingContext = {
    path: destination?.path ?? base.path,
    opaque: new Map<string, OpaqueExpression>([...baseYaml.opaque, ...(overYaml?.opaque ?? [])]),
    argumentFor,
  };
  if (destination && overYaml && !isFilled(overYaml.value)) {
    throw new Problem(
      `${destination.path} holds no settings, which Kamal refuses. Put a setting of the destination there, or leave kamal.destination out.`,
    );
  }
  const merged = overYaml ? mergeSettings(baseYaml.value, overYaml.value) : baseYaml.value;
  const root = Settings.root(merged, context);
  return {
    get service() {
      return root.requiredText("service");
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
    warnings: [...baseYaml.warnings, ...(overYaml?.warnings ?? [])],
  };
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
      return ssh.text("user") ?? "root";
    },
    get port() {
      return ssh.port("port") ?? 22;
    },
    get proxy() {
      return readProxy(ssh);
    },
    get keys() {
      return ssh.texts("keys");
    },
    get keysOnly() {
      return ssh.flag("keys_only");
    },
  };
}

function readProxy(ssh: Settings): KamalConfig["ssh"]["proxy"] {
  if (ssh.has("proxy_command") && !ssh.has("proxy")) {
    throw ssh.problem(
      "proxy_command",
      "cannot be used here: it is a command of one machine",
      "Write ssh.proxy as user@host",
    );
  }
  const text = ssh.text("proxy");
  if (text === undefined) return undefined;
  const match = /^(?:([^@\s]+)@)?([^@:\s]+)(?::(\d{1,5}))?$/.exec(text);
  if (!match) throw ssh.problem("proxy", `"${text}" is not [user@]host[:port]`, "Write it so");
  return { user: match[1] ?? "root", host: match[2] ?? "", port: Number(match[3] ?? 22) };
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
  [/^accessories\.[^.]+\.service$/, "postgres.host"],
  [/^accessories\.[^.]+\.image$/, "postgres.major"],
  [/^accessories\.[^.]+\.env\.clear\.POSTGRES_USER$/, "postgres.user"],
  [/^accessories\.[^.]+\.env\.clear\.POSTGRES_DB$/, "database"],
  [/^accessories\.[^.]+\.env\.secret/, "postgres.password"],
  [/^accessories$/, "kamal.databaseAccessory"],
  [/^registry/, "image"],
];

function argumentFor(setting: string): string | undefined {
  return ARGUMENTS.find(([pattern]) => pattern.test(setting))?.[1];
}

function isFilled(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length > 0;
}
