import { z } from "zod";
import { parseRecipient } from "../storage/ageKeys.ts";
import { Problem } from "../storage/problem.ts";
import { type CopySettings, clearCopy, copyOf, secretCopy } from "./copyEnvironment.ts";

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

/** A bucket, with the key that the agent has for it. */
export interface StoreSettings {
  /** Service address; absent: AWS. */
  readonly endpoint?: string;
  /** @default us-west-1 */
  readonly region: string;
  readonly bucket: string;
  /** Folder in the bucket, without slash at either end. @default backup */
  readonly prefix: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Allows plain http to a host that is not loopback. @default false */
  readonly allowInsecure: boolean;
  /**
   * When a checksum goes with each part: a bucket with Object Lock takes none without. `S3_CHECKSUMS`
   * @default what the provider takes
   */
  readonly checksums?: "when-supported" | "when-required";
}

/** The accessory's `env:` in Kamal's own split. Values that equal a default are left out. */
export interface AgentEnvironment {
  readonly clear: Readonly<Record<string, string>>;
  readonly secret: Readonly<Record<string, string>>;
}

const required = (name: string) => z.string(`${name} is required`).min(1, `${name} is required`);
const flag = (name: string, fallback: "true" | "false") =>
  z.enum(["true", "false"], `${name} must be true or false`).default(fallback);
const whole = (name: string, least: number, most: number) =>
  z.string().refine((text) => /^\d+$/.test(text) && Number(text) >= least && Number(text) <= most, {
    message: `${name} must be a whole number from ${least} to ${most}`,
  });

const noticeAddress = (name: string) =>
  z.string().superRefine((address, context) => {
    const fault = noticeFault(address);
    if (fault !== undefined) context.addIssue(`${name} ${fault}`);
  });

const environmentSchema = z.object({
  SCHEDULE: z.string().optional(),
  SCHEDULE_JITTER: whole("SCHEDULE_JITTER", 0, 86_400).default("0"),
  POSTGRES_HOST: required("POSTGRES_HOST"),
  POSTGRES_PORT: whole("POSTGRES_PORT", 1, 65_535).default("5432"),
  POSTGRES_USER: required("POSTGRES_USER"),
  POSTGRES_PASSWORD: required("POSTGRES_PASSWORD"),
  POSTGRES_DATABASE: z.string().default(""),
  POSTGRES_BACKUP_ALL: flag("POSTGRES_BACKUP_ALL", "false"),
  POSTGRES_EXCLUDE_DATABASES: z.string().default(""),
  PGDUMP_EXTRA_OPTS: z.string().default(""),
  S3_ENDPOINT: z.string().optional(),
  S3_REGION: z.string().default("us-west-1"),
  S3_BUCKET: required("S3_BUCKET"),
  S3_PREFIX: z.string().default("backup"),
  S3_ACCESS_KEY_ID: required("S3_ACCESS_KEY_ID"),
  S3_SECRET_ACCESS_KEY: required("S3_SECRET_ACCESS_KEY"),
  S3_ALLOW_INSECURE: flag("S3_ALLOW_INSECURE", "false"),
  S3_CHECKSUMS: z
    .enum(
      ["when-supported", "when-required"],
      "S3_CHECKSUMS must be when-supported or when-required",
    )
    .optional(),
  AGE_RECIPIENTS: z.string().default(""),
  PASSPHRASE: z.string().default(""),
  COMPRESSION_LEVEL: whole("COMPRESSION_LEVEL", 1, 3).default("1"),
  BACKUP_GLOBALS: flag("BACKUP_GLOBALS", "true"),
  BACKUP_VERIFY: flag("BACKUP_VERIFY", "false"),
  BACKUP_KEEP_DAYS: whole("BACKUP_KEEP_DAYS", 1, 36_500).optional(),
  BACKUP_KEEP_AT_LEAST: whole("BACKUP_KEEP_AT_LEAST", 1, 10_000).default("7"),
  BACKUP_TIERS: flag("BACKUP_TIERS", "false"),
  BACKUP_MAX_SHRINK_PERCENT: whole("BACKUP_MAX_SHRINK_PERCENT", 1, 100).default("50"),
  PING_URL: noticeAddress("PING_URL").optional(),
  WEBHOOK_URL: noticeAddress("WEBHOOK_URL").optional(),
  METRICS_FILE: z.string().startsWith("/", "METRICS_FILE must be an absolute path").optional(),
});

const words = (text: string): string[] =>
  text
    .split(",")
    .map((word) => word.trim())
    .filter((word) => word !== "");

/**
 * Why an address cannot take notices, as the end of a sentence; undefined when it can. Plain http, which shows the token
 * in the address to everyone on the way, is for this machine and for containers beside this one only: a host of one word.
 */
export function noticeFault(address: string): string | undefined {
  // The address is not repeated: it carries a token.
  if (!URL.canParse(address)) return "is not an address; give the form https://HOST/PATH";
  const { protocol, hostname, username } = new URL(address);
  if (username !== "") return "holds a user name; give an address without";
  if (protocol === "https:") return undefined;
  if (protocol !== "http:") return "must begin with https://";
  if (/^([a-z0-9_-]+|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)) return undefined;
  return `is plain http to ${hostname}; use https, since the address carries a token`;
}

/** Renders the settings as the accessory's environment. */
export function toEnvironment(settings: AgentSettings): AgentEnvironment {
  const { postgres, store, databases, encryption, keep, notices } = settings;
  const clear: Record<string, string> = {};
  const put = (name: string, value: string | number | boolean | undefined, fallback?: string) => {
    if (value !== undefined && value !== "" && String(value) !== fallback)
      clear[name] = String(value);
  };
  put("SCHEDULE", settings.schedule);
  put("SCHEDULE_JITTER", settings.jitterSeconds, "0");
  put("POSTGRES_HOST", postgres.host);
  put("POSTGRES_PORT", postgres.port, "5432");
  put("POSTGRES_USER", postgres.user);
  if (databases === "all") put("POSTGRES_BACKUP_ALL", "true");
  else put("POSTGRES_DATABASE", databases.join(","));
  put("POSTGRES_EXCLUDE_DATABASES", settings.excludedDatabases.join(","));
  put("PGDUMP_EXTRA_OPTS", postgres.dumpOptions);
  put("S3_ENDPOINT", store.endpoint);
  put("S3_REGION", store.region);
  put("S3_BUCKET", store.bucket);
  put("S3_PREFIX", store.prefix, "backup");
  put("S3_ALLOW_INSECURE", store.allowInsecure, "false");
  put("S3_CHECKSUMS", store.checksums);
  Object.assign(clear, clearCopy(settings));
  if (encryption && "recipients" in encryption) {
    put("AGE_RECIPIENTS", encryption.recipients.join(","));
  }
  put("COMPRESSION_LEVEL", settings.compressionLevel, "1");
  put("BACKUP_GLOBALS", settings.globals, "true");
  put("BACKUP_VERIFY", settings.verify, "false");
  put("BACKUP_KEEP_DAYS", keep?.days);
  put("BACKUP_KEEP_AT_LEAST", keep?.atLeast, "7");
  put("BACKUP_TIERS", settings.tiers, "false");
  put("BACKUP_MAX_SHRINK_PERCENT", settings.maxShrinkPercent, "50");
  put("METRICS_FILE", notices.metricsFile);
  return {
    clear,
    secret: {
      POSTGRES_PASSWORD: postgres.password,
      S3_ACCESS_KEY_ID: store.accessKeyId,
      S3_SECRET_ACCESS_KEY: store.secretAccessKey,
      ...secretCopy(settings),
      ...(encryption && "passphrase" in encryption && { PASSPHRASE: encryption.passphrase }),
      // Such addresses carry a token that lets anyone speak in our name.
      ...(notices.pingUrl !== undefined && { PING_URL: notices.pingUrl }),
      ...(notices.webhookUrl !== undefined && { WEBHOOK_URL: notices.webhookUrl }),
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
  const all = e.POSTGRES_BACKUP_ALL === "true";
  const names = words(e.POSTGRES_DATABASE);
  if (!all && names.length === 0) throw new Problem(`POSTGRES_DATABASE is required. ${REMEDY}`);
  if (all && names.length > 0) {
    throw new Problem(
      `POSTGRES_DATABASE and POSTGRES_BACKUP_ALL are both set; choose one. ${REMEDY}`,
    );
  }
  const recipients = words(e.AGE_RECIPIENTS);
  if (recipients.length > 0 && e.PASSPHRASE !== "") {
    throw new Problem(`AGE_RECIPIENTS and PASSPHRASE are both set; choose one. ${REMEDY}`);
  }
  for (const recipient of recipients) {
    try {
      parseRecipient(recipient);
    } catch (error) {
      throw new Problem(`AGE_RECIPIENTS: ${(error as Error).message} ${REMEDY}`, { cause: error });
    }
  }
  return {
    ...(e.SCHEDULE !== undefined && { schedule: e.SCHEDULE }),
    jitterSeconds: Number(e.SCHEDULE_JITTER),
    postgres: {
      host: e.POSTGRES_HOST,
      port: Number(e.POSTGRES_PORT),
      user: e.POSTGRES_USER,
      password: e.POSTGRES_PASSWORD,
      database: names[0] ?? "postgres",
      dumpOptions: e.PGDUMP_EXTRA_OPTS,
    },
    databases: all ? "all" : names,
    excludedDatabases: words(e.POSTGRES_EXCLUDE_DATABASES),
    store: {
      ...(e.S3_ENDPOINT !== undefined && { endpoint: e.S3_ENDPOINT }),
      region: e.S3_REGION,
      bucket: e.S3_BUCKET,
      prefix: e.S3_PREFIX,
      accessKeyId: e.S3_ACCESS_KEY_ID,
      secretAccessKey: e.S3_SECRET_ACCESS_KEY,
      allowInsecure: e.S3_ALLOW_INSECURE === "true",
      ...(e.S3_CHECKSUMS !== undefined && { checksums: e.S3_CHECKSUMS }),
    },
    ...copyOf(present, e.S3_PREFIX),
    ...(recipients.length > 0 && { encryption: { recipients } }),
    ...(e.PASSPHRASE !== "" && { encryption: { passphrase: e.PASSPHRASE } }),
    compressionLevel: Number(e.COMPRESSION_LEVEL),
    globals: e.BACKUP_GLOBALS === "true",
    verify: e.BACKUP_VERIFY === "true",
    ...(e.BACKUP_KEEP_DAYS !== undefined && {
      keep: { days: Number(e.BACKUP_KEEP_DAYS), atLeast: Number(e.BACKUP_KEEP_AT_LEAST) },
    }),
    tiers: e.BACKUP_TIERS === "true",
    maxShrinkPercent: Number(e.BACKUP_MAX_SHRINK_PERCENT),
    notices: {
      ...(e.PING_URL !== undefined && { pingUrl: e.PING_URL }),
      ...(e.WEBHOOK_URL !== undefined && { webhookUrl: e.WEBHOOK_URL }),
      ...(e.METRICS_FILE !== undefined && { metricsFile: e.METRICS_FILE }),
    },
  };
}

const REMEDY = "Set it in the accessory's env in deploy.yml and reboot the accessory.";

/** The languages of `SCHEDULE` and `PGDUMP_EXTRA_OPTS`, for those who write them. */
export { readDumpOptions } from "./dumpOptions.ts";
export { cronOf, readSchedule } from "./scheduleRule.ts";
