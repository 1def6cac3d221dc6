import {
  type AgentSettings,
  toEnvironment,
} from "../../common/contracts/agentEnvironment/environment.ts";
import type { Accessory } from "../../kamal/accessory.ts";
import type { KamalConfig } from "../../kamal/configuration/config.ts";
import type { AccessoryNames } from "../accessory/kamalProject.ts";
import { type Buckets, trustOf } from "./certificateAuthority.ts";
import { type MemoryArgs, memoryOf, POINT_IN_TIME_SHM } from "./memory.ts";
import { type ScratchArgs, volumesOf } from "./mounts.ts";
import type { Database } from "./resolveDatabase.ts";

/** What the container is besides its settings. */
export interface ContainerArgs extends Buckets, ScratchArgs, Pick<MemoryArgs, "memory"> {
  readonly image: string;
  readonly logging: KamalConfig["logging"];
  /** What the names of its secrets begin with among Kamal's. */
  readonly secretPrefix: string;
}

/** The accessory that runs the agent with these settings. */
export function accessoryOf(
  names: AccessoryNames,
  settings: AgentSettings,
  database: Database,
  { image, memory, scratch, logging, secretPrefix, ...buckets }: ContainerArgs,
): Accessory {
  const { clear, secret } = toEnvironment(settings);
  const trust = trustOf(buckets, database.tls);
  const { pointInTime } = settings;
  const volumes = volumesOf({ metricsFile: settings.notifications.metricsFile, scratch });
  return {
    ...names,
    image,
    hosts: [...database.hosts],
    labels: {},
    options: {
      "read-only": true,
      // The agent's user needs none of them, and no program of the image may gain any.
      "cap-drop": "ALL",
      "security-opt": "no-new-privileges",
      memory: memoryOf({ ...(memory !== undefined && { memory }), pointInTime }),
      ...(pointInTime && { "shm-size": POINT_IN_TIME_SHM }),
      // A backup that runs when the container is stopped gets the time to abort its upload.
      "stop-timeout": "30",
      ...trust.options,
    },
    ...(volumes && { volumes }),
    clear: { ...clear, ...trust.clear },
    secrets: Object.keys(secret).map((name) => ({
      name,
      from: kamalSecretName(secretPrefix, name, database),
    })),
    ...(logging && { logging }),
    network: database.network,
  };
}

/** Entries for Kamal's secrets file; those that Kamal has already are only referred to. */
export function kamalSecretsOf(
  secretPrefix: string,
  settings: AgentSettings,
  database: Database,
): Record<string, string> {
  const own = Object.entries(toEnvironment(settings).secret).filter(
    ([name]) => kamalSecretName(secretPrefix, name, database) !== database.passwordFrom,
  );
  return Object.fromEntries(
    own.map(([name, value]) => [kamalSecretName(secretPrefix, name, database), value]),
  );
}

/** Name of one of the container's secrets among Kamal's. */
export function kamalSecretName(secretPrefix: string, name: string, database: Database): string {
  if (name === "POSTGRES_PASSWORD" && database.passwordFrom !== undefined) {
    return database.passwordFrom;
  }
  return `${secretPrefix}_${name}`;
}
