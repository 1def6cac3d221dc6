import { z } from "zod";
import { Problem } from "../storage/problem.ts";

/**
 * What the container needs to know, as one typed value. The component turns it into the accessory's environment with
 * `toEnvironment`, the agent reads it back with `fromEnvironment`; names and defaults are those of
 * `eeshugerman/postgres-backup-s3`, so that a reader of the old image can read this one.
 */
export interface AgentSettings {
  /** Cron expression, `@daily`, `@every 6h`; absent: one backup, then exit, as the old image did. */
  readonly schedule?: string;
  readonly postgres: {
    readonly host: string;
    /** @default 5432 */
    readonly port: number;
    readonly user: string;
    readonly password: string;
    readonly database: string;
    /** Extra words for pg_dump, split at white space. @default "" */
    readonly dumpOptions: string;
  };
  readonly store: {
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
  };
}

/** The accessory's `env:` in Kamal's own split. Values that equal a default are left out. */
export interface AgentEnvironment {
  readonly clear: Readonly<Record<string, string>>;
  readonly secret: Readonly<Record<string, string>>;
}

const required = (name: string) => z.string(`${name} is required`).min(1, `${name} is required`);

const environmentSchema = z.object({
  SCHEDULE: z.string().optional(),
  POSTGRES_HOST: required("POSTGRES_HOST"),
  POSTGRES_PORT: z
    .string()
    .regex(/^\d{1,5}$/, "POSTGRES_PORT must be a port number")
    .default("5432"),
  POSTGRES_USER: required("POSTGRES_USER"),
  POSTGRES_PASSWORD: required("POSTGRES_PASSWORD"),
  POSTGRES_DATABASE: required("POSTGRES_DATABASE"),
  PGDUMP_EXTRA_OPTS: z.string().default(""),
  S3_ENDPOINT: z.string().optional(),
  S3_REGION: z.string().default("us-west-1"),
  S3_BUCKET: required("S3_BUCKET"),
  S3_PREFIX: z.string().default("backup"),
  S3_ACCESS_KEY_ID: required("S3_ACCESS_KEY_ID"),
  S3_SECRET_ACCESS_KEY: required("S3_SECRET_ACCESS_KEY"),
  S3_ALLOW_INSECURE: z
    .enum(["true", "false"], "S3_ALLOW_INSECURE must be true or false")
    .default("false"),
});

/** Renders the settings as the accessory's environment. */
export function toEnvironment(settings: AgentSettings): AgentEnvironment {
  const { postgres, store } = settings;
  const clear: Record<string, string> = {};
  const put = (name: string, value: string | undefined, fallback?: string) => {
    if (value !== undefined && value !== "" && value !== fallback) clear[name] = value;
  };
  put("SCHEDULE", settings.schedule);
  put("POSTGRES_HOST", postgres.host);
  put("POSTGRES_PORT", String(postgres.port), "5432");
  put("POSTGRES_USER", postgres.user);
  put("POSTGRES_DATABASE", postgres.database);
  put("PGDUMP_EXTRA_OPTS", postgres.dumpOptions);
  put("S3_ENDPOINT", store.endpoint);
  put("S3_REGION", store.region);
  put("S3_BUCKET", store.bucket);
  put("S3_PREFIX", store.prefix, "backup");
  put("S3_ALLOW_INSECURE", String(store.allowInsecure), "false");
  return {
    clear,
    secret: {
      POSTGRES_PASSWORD: postgres.password,
      S3_ACCESS_KEY_ID: store.accessKeyId,
      S3_SECRET_ACCESS_KEY: store.secretAccessKey,
    },
  };
}

/**
 * Reads the settings inside the container. An empty variable counts as unset, as in the old image.
 * @throws Problem that names the variable
 */
export function fromEnvironment(env: Readonly<Record<string, string | undefined>>): AgentSettings {
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== ""));
  const parsed = environmentSchema.safeParse(present);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new Problem(
      `${issue?.message}. Set it in the accessory's env in deploy.yml and reboot the accessory.`,
    );
  }
  if (present["PASSPHRASE"] !== undefined) {
    throw new Problem(
      "PASSPHRASE is set, but this version does not encrypt; nothing was uploaded in clear. Remove PASSPHRASE, or wait for a version with encryption.",
    );
  }
  const e = parsed.data;
  return {
    ...(e.SCHEDULE !== undefined && { schedule: e.SCHEDULE }),
    postgres: {
      host: e.POSTGRES_HOST,
      port: Number(e.POSTGRES_PORT),
      user: e.POSTGRES_USER,
      password: e.POSTGRES_PASSWORD,
      database: e.POSTGRES_DATABASE,
      dumpOptions: e.PGDUMP_EXTRA_OPTS,
    },
    store: {
      ...(e.S3_ENDPOINT !== undefined && { endpoint: e.S3_ENDPOINT }),
      region: e.S3_REGION,
      bucket: e.S3_BUCKET,
      prefix: e.S3_PREFIX,
      accessKeyId: e.S3_ACCESS_KEY_ID,
      secretAccessKey: e.S3_SECRET_ACCESS_KEY,
      allowInsecure: e.S3_ALLOW_INSECURE === "true",
    },
  };
}
