import { type KamalAccessoryConfig, readAccessories } from "./accessoryConfig.ts";
import { Problem } from "./problem.ts";
import { mergeSettings, type ReadingContext, Settings } from "./settings.ts";
import { type OpaqueExpression, readYamlWithErb, type SourceFile } from "./yamlWithErb.ts";

export type { KamalAccessoryConfig } from "./accessoryConfig.ts";

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
  readonly destination?: string;
  readonly registry: {
    /** Absent: Docker Hub. */
    readonly server?: string;
    readonly username?: string | SecretRef;
    readonly password?: string | SecretRef;
  };
  readonly ssh: {
    /** @default root */
    readonly user: string;
    /** @default 22 */
    readonly port: number;
    readonly proxy?: { readonly user: string; readonly host: string; readonly port: number };
    /** Paths of private keys, as written. */
    readonly keys: string[];
    readonly keysOnly: boolean;
  };
  readonly accessories: Record<string, KamalAccessoryConfig>;
  readonly logging?: { driver?: string; options?: Record<string, string> };
  /** Base of the secrets files. @default .kamal/secrets */
  readonly secretsPath: string;
  /** What was passed over in the files, a sentence each. */
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
    ...(destination && { destination: destination.name }),
    registry: readRegistry(root.mapping("registry")),
    ssh: readSsh(root.mapping("ssh")),
    accessories: readAccessories(root),
    ...(root.has("logging") && { logging: readLogging(root.mapping("logging")) }),
    get secretsPath() {
      return root.text("secrets_path") ?? ".kamal/secrets";
    },
    warnings: [...baseYaml.warnings, ...(overYaml?.warnings ?? [])],
  };
}

function isFilled(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length > 0;
}
