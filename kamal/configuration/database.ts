import { Problem } from "../../common/problem.ts";
import type { KamalAccessoryConfig } from "./accessoryConfig.ts";
import type { KamalConfig } from "./config.ts";

/** Image names that are a PostgreSQL server, whoever publishes them. */
const POSTGRES_IMAGE =
  /^(?:postgres|postgresql|postgis|timescaledb|timescaledb-ha|pgvector|paradedb)$/;

/** What a database accessory says about its server. */
export interface DatabaseDefaults {
  /** Name of the container, which is its host name on the Docker network. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Absent when the accessory has no POSTGRES_DB. */
  readonly database?: string | undefined;
  /** Name of the password in Kamal's secrets. */
  readonly passwordSecret?: string | undefined;
}

/**
 * The accessory that runs the database.
 * @param name key under `accessories:`; absent: the only one with PostgreSQL's image
 * @throws Problem when there is none, or more than one
 */
export function databaseAccessory(config: KamalConfig, name?: string): KamalAccessoryConfig {
  const all = Object.values(config.accessories);
  const names = all.map((accessory) => accessory.name).join(", ") || "none";
  if (name !== undefined) {
    const named = all.find((accessory) => accessory.name === name);
    if (named) return named;
    throw new Problem(
      `kamal.databaseAccessory: deploy.yml has no accessory "${name}" (it has: ${names}). Give one of them.`,
    );
  }
  const unreadable: Problem[] = [];
  const found = all.filter((accessory) => {
    try {
      return POSTGRES_IMAGE.test(imageName(accessory.image ?? ""));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      unreadable.push(error);
      return false;
    }
  });
  const [accessory, second] = found;
  if (accessory !== undefined && second === undefined) return accessory;
  if (accessory === undefined && unreadable[0]) throw unreadable[0];
  throw new Problem(
    accessory === undefined
      ? `deploy.yml has no accessory with an image of PostgreSQL (accessories: ${names}). Give kamal.databaseAccessory the one that runs the database.`
      : `deploy.yml has several accessories with an image of PostgreSQL (${found.map((a) => a.name).join(", ")}). Give one of them as kamal.databaseAccessory.`,
  );
}

/** Settings of the server as the official image's entry point reads them (docker-library/postgres, docker-entrypoint.sh). */
export function databaseDefaults(accessory: KamalAccessoryConfig): DatabaseDefaults {
  const { env } = accessory;
  return {
    get host() {
      return accessory.service;
    },
    port: 5432,
    get user() {
      return env.clear["POSTGRES_USER"] ?? "postgres";
    },
    get database() {
      return env.clear["POSTGRES_DB"];
    },
    get passwordSecret() {
      return env.secret.find(({ name }) => name === "POSTGRES_PASSWORD")?.from;
    },
  };
}

/**
 * Major version of the server by the tag of its image: 17 of `postgres:17.6-alpine`, `pgvector:pg17`, `timescaledb:2.17.2-pg17`.
 * @returns undefined when the tag does not tell
 */
export function postgresMajor(image: string): number | undefined {
  const tag = /:([\w.-]+)(?:@.*)?$/.exec(image)?.[1] ?? "";
  const byMark = /(?:^|[-_.])pg(\d{1,2})(?!\d)/.exec(tag)?.[1];
  // Other images count their own versions in the tag.
  const ownVersions = /^(?:timescaledb|timescaledb-ha|pgvector|paradedb)$/.test(imageName(image));
  const byStart = ownVersions ? undefined : /^(\d{1,2})(?:$|[.-])/.exec(tag)?.[1];
  const major = byMark ?? byStart;
  return major === undefined ? undefined : Number(major);
}

/** Last word of the repository, without tag and digest. */
function imageName(image: string): string {
  const repository = image.replace(/@.*$/, "").replace(/:[^/]*$/, "");
  return repository.slice(repository.lastIndexOf("/") + 1);
}
