import { translateVariables } from "../../common/contracts/agentEnvironment/legacyVariables.ts";
import { Problem } from "../../common/problem.ts";
import type { KamalAccessoryConfig } from "../../kamal/configuration/accessoryConfig.ts";

/** An accessory of postgres-backup-s3 or a relative, and what stands beside it. */
export interface OldBackup {
  readonly accessory: Pick<KamalAccessoryConfig, "service" | "image" | "hosts">;
  /** Its variables, secrets included as far as they are known. */
  readonly variables: Readonly<Record<string, string>>;
  /** Its secrets that are not known here: variable, and name among Kamal's secrets. */
  readonly unknown: Readonly<Record<string, string>>;
  /** Key of the accessory whose container is the server; undefined: the server is none of the application's. */
  readonly database: string | undefined;
  /** The user that this accessory's server was made with; undefined: it does not say it in clear. */
  readonly databaseUser: string | undefined;
}

/** What a stack is configured with in its place. */
export interface AdoptedSettings {
  /** Keys of the configuration, `existingBucket.name` for a part of one. */
  readonly plain: Readonly<Record<string, string>>;
  readonly secret: Readonly<Record<string, string>>;
  /** Secrets that have to be given: key, and name among Kamal's secrets. */
  readonly missing: Readonly<Record<string, string>>;
  /** What of the old one has no counterpart, a sentence each. */
  readonly notes: readonly string[];
  /** Folders of the bucket in which its backups may lie, the likelier one first. */
  readonly prefixes: readonly [string, ...string[]];
}

const SECRETS: Readonly<Record<string, string>> = {
  S3_ACCESS_KEY_ID: "accessKeyId",
  S3_SECRET_ACCESS_KEY: "secretAccessKey",
  PASSPHRASE: "passphrase",
};

/**
 * The settings that come to the same backups, in the same bucket, at the same times.
 * @throws Problem when it is not known into which bucket it backs up, or what
 */
export function adoptedSettings(old: OldBackup): AdoptedSettings {
  const { env, warnings } = translateVariables({ ...old.variables });
  const bucket = env["S3_BUCKET"];
  if (bucket === undefined) {
    const from = old.unknown["S3_BUCKET"];
    throw new Problem(
      from === undefined
        ? "the accessory has no S3_BUCKET. adopt knows eeshugerman/postgres-backup-s3 and its relatives; declare another backup by hand."
        : `S3_BUCKET is the secret ${from}, whose value is not known here. Write the bucket's name in clear, and run adopt again.`,
    );
  }
  const prefix = (env["S3_PREFIX"] ?? "backup").replace(/^\/+|\/+$/g, "");
  const address = env["S3_ENDPOINT"];
  const prefixes = prefixesOf(bucket, prefix, address);
  const server = serverSettings(old, env);
  const days = env["BACKUP_KEEP_DAYS"];
  // The password of the accessory's own user stands with the accessory.
  const isOwnUser = old.database !== undefined && server["databaseUser"] === undefined;
  const given = { ...SECRETS, ...(!isOwnUser && { POSTGRES_PASSWORD: "databasePassword" }) };
  const named = Object.entries(given);
  return {
    plain: {
      ...defined({
        database: env["POSTGRES_BACKUP_ALL"] === "true" ? "all" : env["POSTGRES_DATABASE"],
        schedule: env["SCHEDULE"],
        "existingBucket.name": bucket,
        "existingBucket.region": env["S3_REGION"] ?? "us-west-1",
        "existingBucket.endpoint": address,
        "existingBucket.allowInsecure": address?.startsWith("http:") ? "true" : undefined,
        prefix: prefixes[0],
        keepDays: days,
        dumpOptions: env["PGDUMP_EXTRA_OPTS"],
        replacesContainer: old.accessory.service,
      }),
      ...server,
    },
    secret: defined(Object.fromEntries(named.map(([variable, key]) => [key, env[variable]]))),
    missing: Object.fromEntries(
      named.flatMap(([variable, key]) => {
        const from = old.unknown[variable];
        return from === undefined ? [] : [[key, from]];
      }),
    ),
    notes: [
      ...warnings,
      ...(env["SCHEDULE"] === undefined
        ? [
            "It has no SCHEDULE: it backed up when it was started. The schedule here is every day at 03:15 UTC.",
          ]
        : []),
      ...(days === undefined
        ? [
            "It never deleted a backup. Without keepDays, and without rules of the bucket, neither does this.",
          ]
        : []),
    ],
    prefixes,
  };
}

/**
 * With the bucket in the endpoint's host or path as well, the AWS tool took the bucket's name for the first folder of each key.
 */
function prefixesOf(
  bucket: string,
  prefix: string,
  endpoint: string | undefined,
): [string, ...string[]] {
  const doubled = `${bucket}/${prefix}`;
  if (endpoint === undefined || !URL.canParse(endpoint)) return [prefix];
  const { hostname, pathname } = new URL(endpoint);
  const holdsBucket =
    hostname.startsWith(`${bucket}.`) || pathname.split("/").filter(Boolean)[0] === bucket;
  return holdsBucket ? [doubled, prefix] : [prefix, doubled];
}

/** What an accessory of the application says itself is not set again. */
function serverSettings(
  { accessory, database, databaseUser }: OldBackup,
  env: Readonly<Record<string, string | undefined>>,
): Record<string, string> {
  const user = env["POSTGRES_USER"];
  if (database !== undefined) {
    return {
      databaseAccessory: database,
      ...(user !== undefined && user !== (databaseUser ?? user) && { databaseUser: user }),
    };
  }
  const major = /[:-](1[4-8])(?:[.-]|$)/.exec((accessory.image ?? "").replace(/@.*$/, ""))?.[1];
  return defined({
    databaseHost: env["POSTGRES_HOST"],
    databasePort: env["POSTGRES_PORT"],
    databaseUser: user,
    databaseMajor: major,
    hosts: accessory.hosts.join(","),
  });
}

function defined(values: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(values).filter((entry): entry is [string, string] => Boolean(entry[1])),
  );
}
