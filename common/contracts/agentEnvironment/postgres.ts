import * as z from "zod";
import { Problem } from "../../problem.ts";
import { flag, nonDefault, REMEDY, required, splitList, wholeNumber } from "./variables.ts";

/** The server, and which of its databases are backed up. */
export interface PostgresSettings {
  readonly postgres: ServerSettings;
  /** Exact names, `POSTGRES_DATABASE=a,b`; or every database of the server, `POSTGRES_BACKUP_ALL=true`. */
  readonly databases: readonly string[] | "all";
  /** With `"all"`: those left out, besides templates and `postgres`. `POSTGRES_EXCLUDE_DATABASES=a,b` @default none */
  readonly excludedDatabases: readonly string[];
}

/**
 * Whether the connection to the server is encrypted, and what its certificate must prove, with libpq's meaning:
 * https://www.postgresql.org/docs/17/libpq-ssl.html#LIBPQ-SSL-PROTECTION
 */
export const SSL_MODES = [
  "disable",
  "allow",
  "prefer",
  "require",
  "verify-ca",
  "verify-full",
] as const;

export type SslMode = (typeof SSL_MODES)[number];

export function isSslMode(text: string): text is SslMode {
  return (SSL_MODES as readonly string[]).includes(text);
}

/** How the server is reached, and how it is dumped. */
export interface ServerSettings {
  readonly host: string;
  /** @default 5432 */
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** The database, the first of several. With `"all"`: the one to connect to for the list of them, `postgres`. */
  readonly database: string;
  /** `POSTGRES_SSL_MODE`. @default PGSSLMODE as libpq reads it, else `prefer`: TLS where the server offers it */
  readonly sslMode?: SslMode;
  /**
   * Certificates of the authorities that may have signed the server's: path of a PEM file in the container, the PEM text itself, or
   * `system` for the public ones. With it each mode compares them. `POSTGRES_SSL_ROOT_CERT` @default PGSSLROOTCERT, else none
   */
  readonly sslRootCertificate?: string;
  /** Extra words for pg_dump, split at white space. @default "" */
  readonly dumpOptions: string;
}

export const postgresVariables = {
  POSTGRES_HOST: required("POSTGRES_HOST"),
  POSTGRES_PORT: wholeNumber("POSTGRES_PORT", 1, 65_535).default("5432"),
  POSTGRES_USER: required("POSTGRES_USER"),
  POSTGRES_PASSWORD: required("POSTGRES_PASSWORD"),
  POSTGRES_DATABASE: z.string().default(""),
  POSTGRES_BACKUP_ALL: flag("POSTGRES_BACKUP_ALL", "false"),
  POSTGRES_EXCLUDE_DATABASES: z.string().default(""),
  POSTGRES_SSL_MODE: z
    .enum(SSL_MODES, `POSTGRES_SSL_MODE must be one of ${SSL_MODES.join(", ")}`)
    .optional(),
  POSTGRES_SSL_ROOT_CERT: z.string().optional(),
  PGDUMP_EXTRA_OPTS: z.string().default(""),
};

type Variables = z.infer<z.ZodObject<typeof postgresVariables>>;

export function postgresClearEnv({
  postgres,
  databases,
  excludedDatabases,
}: PostgresSettings): Record<string, string> {
  return nonDefault([
    ["POSTGRES_HOST", postgres.host],
    ["POSTGRES_PORT", postgres.port, "5432"],
    ["POSTGRES_USER", postgres.user],
    databases === "all"
      ? ["POSTGRES_BACKUP_ALL", "true"]
      : ["POSTGRES_DATABASE", databases.join(",")],
    ["POSTGRES_SSL_MODE", postgres.sslMode],
    ["POSTGRES_SSL_ROOT_CERT", postgres.sslRootCertificate],
    ["POSTGRES_EXCLUDE_DATABASES", excludedDatabases.join(",")],
    ["PGDUMP_EXTRA_OPTS", postgres.dumpOptions],
  ]);
}

export function postgresSecretEnv({ postgres }: PostgresSettings): Record<string, string> {
  return { POSTGRES_PASSWORD: postgres.password };
}

/** @throws Problem unless the databases are named, or all of them are meant */
export function parsePostgres(e: Variables): PostgresSettings {
  const all = e.POSTGRES_BACKUP_ALL === "true";
  const names = [...new Set(splitList(e.POSTGRES_DATABASE))];
  if (!all && names.length === 0) throw new Problem(`POSTGRES_DATABASE is required. ${REMEDY}`);
  if (all && names.length > 0) {
    throw new Problem(
      `POSTGRES_DATABASE and POSTGRES_BACKUP_ALL are both set; choose one. ${REMEDY}`,
    );
  }
  return {
    postgres: {
      host: e.POSTGRES_HOST,
      port: Number(e.POSTGRES_PORT),
      user: e.POSTGRES_USER,
      password: e.POSTGRES_PASSWORD,
      database: names[0] ?? "postgres",
      ...(e.POSTGRES_SSL_MODE !== undefined && { sslMode: e.POSTGRES_SSL_MODE }),
      ...(e.POSTGRES_SSL_ROOT_CERT !== undefined && {
        sslRootCertificate: e.POSTGRES_SSL_ROOT_CERT,
      }),
      dumpOptions: e.PGDUMP_EXTRA_OPTS,
    },
    databases: all ? "all" : names,
    excludedDatabases: splitList(e.POSTGRES_EXCLUDE_DATABASES),
  };
}
