import * as z from "zod";
import { Problem } from "../../problem.ts";
import { backupOf, backupVariables, clearBackup } from "./backup.ts";
import { type CopySettings, clearCopy, copyOf, secretCopy } from "./copy.ts";
import {
  clearEncryption,
  encryptionOf,
  encryptionVariables,
  secretEncryption,
} from "./encryption.ts";
import { clearNotices, noticesOf, noticesVariables, secretNotices } from "./notices.ts";
import { clearPostgres, postgresOf, postgresVariables, secretPostgres } from "./postgres.ts";
import { clearStore, type StoreSettings, secretStore, storeOf, storeVariables } from "./store.ts";
import { REMEDY, whole, written } from "./variables.ts";

/**
 * What the container needs to know, as one typed value. The component turns it into the accessory's environment with
 * `toEnvironment`, the agent reads it back with `fromEnvironment`; names and defaults are those of
 * `eeshugerman/postgres-backup-s3`, so that a reader of the old image can read this one.
 */
export interface AgentSettings {
  /** Cron expression, `@daily`, `@every 6h`; absent: one backup, then exit, as the old image did. `SCHEDULE` */
  readonly schedule?: string;
  /** Longest random delay of a scheduled run, seconds, so that many hosts do not start at once. `SCHEDULE_JITTER` @default 0 */
  readonly jitterSeconds: number;
  readonly postgres: {
    readonly host: string;
    /** @default 5432 */
    readonly port: number;
    readonly user: string;
    readonly password: string;
    /** The database, the first of several. With `"all"`: the one to connect to for the list of them, `postgres`. */
    readonly database: string;
    /** Extra words for pg_dump, split at white space. @default "" */
    readonly dumpOptions: string;
  };
  /** Exact names, `POSTGRES_DATABASE=a,b`; or every database of the server, `POSTGRES_BACKUP_ALL=true`. */
  readonly databases: readonly string[] | "all";
  /** With `"all"`: those left out, besides templates and `postgres`. `POSTGRES_EXCLUDE_DATABASES=a,b` @default none */
  readonly excludedDatabases: readonly string[];
  readonly store: StoreSettings;
  /** A second bucket that gets the same backups. `COPY_S3_...` @default none */
  readonly copy?: CopySettings;
  /** What is wrong with the variables of the copy; then there is no `copy`. */
  readonly copyFault?: Problem;
  /**
   * Public keys that can decrypt, `AGE_RECIPIENTS=age1...,age1...`, or a passphrase, `PASSPHRASE`. Absent: backups are
   * stored unencrypted.
   */
  readonly encryption?:
    | { readonly recipients: readonly string[] }
    | { readonly passphrase: string };
  /** zstd level, 1 to 3. `COMPRESSION_LEVEL` @default 1 */
  readonly compressionLevel: number;
  /** Roles and grants stored beside each dump, without passwords. `BACKUP_GLOBALS` @default true */
  readonly globals: boolean;
  /** Reads each backup back to its end after it was stored. `BACKUP_VERIFY` @default false */
  readonly verify: boolean;
  /**
   * Deletes own backups of this database older than this, where the key may; the newest `atLeast` always stay. Absent:
   * the bucket's own rule expires them. `BACKUP_KEEP_DAYS`, `BACKUP_KEEP_AT_LEAST`
   */
  readonly keep?: { readonly days: number; readonly atLeast: number };
  /**
   * Folders below the prefix by calendar, each with a lifecycle rule of its own: the first backup of a month goes to
   * `monthly/`, of a week to `weekly/`, else `daily/`. `BACKUP_TIERS` @default false
   */
  readonly tiers: boolean;
  /**
   * A backup whose object shrank by more than this share of the one before, that lost tables, is empty, or comes from
   * another server is put under `suspect/` and fails the run. `BACKUP_MAX_SHRINK_PERCENT` @default 50
   */
  readonly maxShrinkPercent: number;
  readonly notices: {
    /**
     * Gets a POST with one sentence after each success, with `/fail` behind the address after a failure and `/start` at
     * the start, as healthchecks.io has it. See `noticeFault`. `PING_URL`
     */
    readonly pingUrl?: string;
    /** Gets a JSON document after each run. See `noticeFault`. `WEBHOOK_URL` */
    readonly webhookUrl?: string;
    /**
     * Prometheus text, for a node exporter's textfile folder that is mounted. An absolute path in the container.
     * `METRICS_FILE`
     */
    readonly metricsFile?: string;
  };
}

/** The accessory's `env:` in Kamal's own split. Values that equal a default are left out. */
export interface AgentEnvironment {
  readonly clear: Readonly<Record<string, string>>;
  readonly secret: Readonly<Record<string, string>>;
}

const environmentSchema = z.object({
  SCHEDULE: z.string().optional(),
  SCHEDULE_JITTER: whole("SCHEDULE_JITTER", 0, 86_400).default("0"),
  ...postgresVariables,
  ...storeVariables,
  ...encryptionVariables,
  ...backupVariables,
  ...noticesVariables,
});

/** Renders the settings as the accessory's environment. */
export function toEnvironment(settings: AgentSettings): AgentEnvironment {
  return {
    clear: {
      ...written([
        ["SCHEDULE", settings.schedule],
        ["SCHEDULE_JITTER", settings.jitterSeconds, "0"],
      ]),
      ...clearPostgres(settings),
      ...clearStore(settings),
      ...clearCopy(settings),
      ...clearEncryption(settings),
      ...clearBackup(settings),
      ...clearNotices(settings),
    },
    secret: {
      ...secretPostgres(settings),
      ...secretStore(settings),
      ...secretCopy(settings),
      ...secretEncryption(settings),
      ...secretNotices(settings),
    },
  };
}

/**
 * Reads the settings inside the container. An empty variable counts as unset, as in the old image.
 * @throws Problem that names the variable; not for those of the copy
 */
export function fromEnvironment(env: Readonly<Record<string, string | undefined>>): AgentSettings {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const parsed = environmentSchema.safeParse(present);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Problem(`${issue?.message}. ${REMEDY}`);
  }
  const e = parsed.data;
  return {
    ...(e.SCHEDULE !== undefined && { schedule: e.SCHEDULE }),
    jitterSeconds: Number(e.SCHEDULE_JITTER),
    ...postgresOf(e),
    store: storeOf(e),
    ...encryptionOf(e),
    ...copyOf(present, e.S3_PREFIX),
    ...backupOf(e),
    notices: noticesOf(e),
  };
}

export { cronOf, readSchedule } from "../../schedule/cron.ts";
/** The languages of `SCHEDULE`, `PGDUMP_EXTRA_OPTS` and `PING_URL`, for those who write them. */
export { readDumpOptions } from "./dumpOptions.ts";
export { noticeFault } from "./notices.ts";
