import {
  type AgentSettings,
  toEnvironment,
} from "../../common/contracts/agentEnvironment/environment.ts";
import type { Accessory } from "../../kamal/accessory.ts";
import type { KamalConfig } from "../../kamal/config.ts";
import type { KamalArgs } from "../accessory/kamalProject.ts";
import { trustOf } from "./certificateAuthority.ts";
import { DEFAULT_MEMORY } from "./memory.ts";
import { volumesOf } from "./mounts.ts";
import type { PostgresBackupArgs } from "./postgresBackupArgs.ts";
import type { Database } from "./resolveDatabase.ts";

/** What an accessory is called. Plain values: they are known at preview, when image and keys may not be. */
export type AccessoryNames = Pick<Accessory, "key" | "service" | "destination" | "container">;

/** Kamal's container names lack the destination, so that two on one host would collide: ours has it. */
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

/** What the container is besides its settings. */
export interface ContainerArgs
  extends Pick<PostgresBackupArgs, "memory" | "scratch" | "bucket" | "copy"> {
  readonly image: string;
  readonly logging: KamalConfig["logging"];
}

/** The accessory that runs the agent with these settings. */
export function accessoryOf(
  names: AccessoryNames,
  settings: AgentSettings,
  database: Database,
  { image, memory = DEFAULT_MEMORY, scratch, logging, ...buckets }: ContainerArgs,
): Accessory {
  const { clear, secret } = toEnvironment(settings);
  const trust = trustOf(buckets);
  const volumes = volumesOf({ metricsFile: settings.notifications.metricsFile, scratch });
  return {
    ...names,
    image,
    hosts: [...database.hosts],
    labels: {},
    // A backup that runs when the container is stopped gets the time to abort its upload.
    options: { "read-only": true, memory, "stop-timeout": "30", ...trust.options },
    ...(volumes && { volumes }),
    clear: { ...clear, ...trust.clear },
    secrets: Object.keys(secret).map((name) => ({
      name,
      from: kamalSecretName(names, name, database),
    })),
    ...(logging && { logging }),
    network: "kamal",
  };
}

/** Entries for Kamal's secrets file; those that Kamal has already are only referred to. */
export function kamalSecretsOf(
  names: AccessoryNames,
  settings: AgentSettings,
  database: Database,
): Record<string, string> {
  const own = Object.entries(toEnvironment(settings).secret).filter(
    ([name]) => kamalSecretName(names, name, database) !== database.passwordFrom,
  );
  return Object.fromEntries(
    own.map(([name, value]) => [kamalSecretName(names, name, database), value]),
  );
}

function kamalSecretName({ key }: AccessoryNames, name: string, database: Database): string {
  if (name === "POSTGRES_PASSWORD" && database.passwordFrom !== undefined) {
    return database.passwordFrom;
  }
  return `${key.toUpperCase()}_${name}`;
}
