/** The environment in the agent's own names, and what its owner should know about it, one line each. */
export interface TranslatedVariables {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly warnings: readonly string[];
}

/** What schickling/postgres-backup-s3 and its descendants write for "not set". */
const NOT_SET = "**None**";

/** Old names of the agent's variables: the old one, the present one, and how the value is read where it differs. */
const ALIASES: readonly (readonly [from: string, to: string, convert?: Convert])[] = [
  ["POSTGRES_PORT_5432_TCP_ADDR", "POSTGRES_HOST"],
  ["POSTGRES_PORT_5432_TCP_PORT", "POSTGRES_PORT"],
  ["POSTGRES_EXTRA_OPTS", "PGDUMP_EXTRA_OPTS"],
  ["AWS_ACCESS_KEY_ID", "S3_ACCESS_KEY_ID"],
  ["AWS_SECRET_ACCESS_KEY", "S3_SECRET_ACCESS_KEY"],
  ["AWS_DEFAULT_REGION", "S3_REGION"],
  ["ENCRYPTION_PASSWORD", "PASSPHRASE"],
  ["DELETE_OLDER_THAN", "BACKUP_KEEP_DAYS", daysOf],
  ["ENABLE_METRICS", "METRICS_FILE", (value) => (isYes(value) ? "/metrics/metrics.txt" : "")],
];

type Convert = (value: string) => string | undefined;

/** Variables of the old image and its forks that do nothing here, and why. */
const IGNORED: Readonly<Record<string, string>> = {
  S3_PATH: "it never did anything in postgres-backup-s3 either; the folder is S3_PREFIX",
  S3_S3V4: "requests are always signed with version 4",
  S3_FILE_NAME: "objects are named DATABASE_TIME, so that no backup replaces another",
  AWS_SESSION_TOKEN: "temporary keys would expire between two backups; give a key that stays",
  USE_CUSTOM_FORMAT: "dumps are always in pg_dump's custom format",
  COMPRESSION_CMD: "dumps are compressed with zstd; see COMPRESSION_LEVEL",
  DECOMPRESSION_CMD: "dumps are compressed with zstd, and unpacked with it",
  PARALLEL_JOBS: "the restore chooses by itself",
  BACKUP_FILE: "a container that starts never restores; run: sh restore.sh TIMESTAMP",
  CREATE_DATABASE: "a restore always goes into a new database",
  DROP_DATABASE: "a restore keeps the old database under another name",
  DROP_PUBLIC: "a restore always goes into a new database",
  RESTORE_VERIFY: "a restore always compares the rows with the backup's manifest",
  HOOK_PRE_BACKUP_URL: "see PING_URL and WEBHOOK_URL",
  HOOK_POST_BACKUP_URL: "see PING_URL and WEBHOOK_URL",
  HOOK_BACKUP_ERROR_URL: "see PING_URL and WEBHOOK_URL",
};

/** Names of the variables that are translated or ignored with a warning, for the documentation's test. */
export const KNOWN_VARIABLES: readonly string[] = [
  ...ALIASES.map(([from]) => from),
  ...Object.keys(IGNORED),
];

/**
 * Reads the variables of `eeshugerman/postgres-backup-s3`, of the image that it came from and of its forks. The agent's own
 * names win. An old name gives a warning, unless it says the same as the new one; values are never repeated, since some are
 * secrets.
 */
export function translateVariables(
  given: Readonly<Record<string, string | undefined>>,
): TranslatedVariables {
  const env = Object.fromEntries(
    Object.entries(given).filter(([, value]) => value !== undefined && !isUnset(value)),
  );
  const warnings: string[] = [];
  // A container linked under the name `postgres` puts an address where the port belongs.
  if (env["POSTGRES_PORT"]?.startsWith("tcp://")) delete env["POSTGRES_PORT"];
  for (const [from, to, convert] of ALIASES) {
    const old = env[from];
    if (old === undefined) continue;
    const value = convert === undefined ? old : convert(old);
    if (value === undefined) {
      warnings.push(`${from} is ignored: its value is not understood. Set ${to} instead.`);
    } else if (env[to] !== undefined) {
      if (env[to] !== value) warnings.push(`${from} is ignored: ${to} is set and wins.`);
    } else if (value !== "") {
      env[to] = value;
      warnings.push(`${from} is read as ${to}. Rename it.`);
    }
  }
  for (const [name, why] of Object.entries(IGNORED)) {
    if (env[name] !== undefined) warnings.push(`${name} is ignored: ${why}.`);
  }
  if (env["POSTGRES_DATABASE"] === "all") {
    warnings.push(
      'POSTGRES_DATABASE=all means a database called "all". For every database of the server set POSTGRES_BACKUP_ALL=true and remove POSTGRES_DATABASE.',
    );
  }
  return { env, warnings };
}

function isUnset(value: string): boolean {
  return value === "" || value === NOT_SET;
}

function isYes(value: string): boolean {
  return /^(true|yes|1)$/i.test(value);
}

/** `30 days ago`, `2 weeks`: as GNU date reads it, where it means whole days. */
function daysOf(text: string): string | undefined {
  const [, amount, unit] = /^(\d{1,4})\s*(day|week)s?(?:\s+ago)?$/i.exec(text.trim()) ?? [];
  if (amount === undefined || Number(amount) === 0) return undefined;
  return String(Number(amount) * (unit?.toLowerCase() === "week" ? 7 : 1));
}
