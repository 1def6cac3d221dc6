import * as z from "zod";
import { Problem } from "../problem.ts";

/** One table of the dump with the number of rows it had in the dump's own snapshot. */
const tableSchema = z.object({
  schema: z.string(),
  name: z.string(),
  rows: z.int().nonnegative(),
  /** False: estimated from a sample, because the table is too large to be counted. Then it is not compared exactly. */
  exact: z.boolean(),
  /** False: could not be counted, e.g. because an index was locked; `rows` is the server's estimate, which is not compared. */
  counted: z.boolean().optional(),
  /**
   * True: a part of a partitioned table, a child by inheritance, or in a schema that an extension has made for itself. Those
   * come and go, so a missing one is no loss.
   */
  partition: z.boolean().optional(),
});

/** Name of a table, each part as the catalog has it, unquoted. */
const tableNameSchema = z.object({ schema: z.string(), name: z.string() });

/**
 * What belongs to the database itself and lies outside its schemas. The archive carries it too, for `pg_restore --create`.
 * Names are as the catalog has them, unquoted.
 */
const propertiesSchema = z.object({
  owner: z.string(),
  /** As `pg_encoding_to_char` writes it, e.g. `UTF8`. */
  encoding: z.string(),
  /** `libc`, `icu` or `builtin`; a newer server may know others. */
  localeProvider: z.string(),
  /** `LC_COLLATE`, of the C library. */
  collate: z.string(),
  /** `LC_CTYPE`, of the C library. */
  ctype: z.string(),
  /** The locale of another provider than `libc`, e.g. `de-DE`; null with `libc`. */
  locale: z.string().nullable(),
  /** Rules that were added to an ICU locale's; null: none. */
  icuRules: z.string().nullable(),
  tablespace: z.string(),
  /** -1: no limit. */
  connectionLimit: z.int(),
  isTemplate: z.boolean(),
  allowConnections: z.boolean(),
  /** Privileges on the database; null: the default ones. A null grantee is PUBLIC. */
  acl: z
    .array(
      z.object({
        grantee: z.string().nullable(),
        /** `CONNECT`, `CREATE`, `TEMPORARY`. */
        privilege: z.string(),
        grantable: z.boolean(),
      }),
    )
    .nullable(),
  /**
   * `ALTER DATABASE ... SET`, and `ALTER ROLE ... IN DATABASE ... SET` where a role is named. `value` as
   * `pg_db_role_setting` has it. It is absent where the backup is encrypted: applications keep secrets in settings, the
   * manifest is in clear, and the archive has the value.
   */
  settings: z.array(
    z.object({ role: z.string().nullable(), name: z.string(), value: z.string().optional() }),
  ),
  /** `COMMENT ON DATABASE`; null: none. Absent where the backup is encrypted, as a setting's value is. */
  comment: z.string().nullable().optional(),
  /** `SECURITY LABEL ... ON DATABASE`; absent in older backups. `label` is absent where the backup is encrypted. */
  labels: z.array(z.object({ provider: z.string(), label: z.string().optional() })).optional(),
});

/** An extension of the database. */
const extensionSchema = z.object({
  name: z.string(),
  version: z.string(),
  /** The schema that its objects are in. */
  schema: z.string(),
});

/** What pg_dump was told and what it said. Nothing left out and no warning: the dump is of the whole database. */
const dumpSchema = z.object({
  /** Words of `PGDUMP_EXTRA_OPTS`. */
  options: z.array(z.string()),
  /** Tables of the database that the options left out of the dump, with their rows. */
  tablesLeftOut: z.array(tableNameSchema),
  /** Tables whose definition is in the dump and whose rows the options left out. */
  dataLeftOut: z.array(tableNameSchema),
  /** What else the options left out: the number of entries of each kind, as `pg_restore --list` calls it, e.g. `VIEW`. */
  otherLeftOut: z.record(z.string(), z.int().positive()),
  /** Each distinct warning of pg_dump and pg_dumpall, e.g. that subscriptions were not dumped. */
  warnings: z.array(z.string()),
});

/** Bytes; a larger one is neither written nor read. A database of 100,000 tables has one of 11 MiB. */
export const LARGEST_MANIFEST = 16 * 1024 * 1024;
const MOST_VALUES = 1_500_000;
const LONGEST_LIST = 100_000;
const SLICE = 1_000;

/** SHA-256, lower-case hex. */
const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);

/** An object as stored, for finding it damaged. */
const storedSchema = z.object({
  /** Full key in the bucket. */
  key: z.string().min(1),
  bytes: z.int().positive(),
  /** SHA-256 of the object's bytes as stored, lower-case hex. */
  sha256: sha256Schema,
});

/**
 * Where the parts of an archive lie: byte ranges of what pg_dump wrote, which is before encryption. The table of contents comes
 * first, then each block follows the one before without a gap, to the archive's last byte. With it a restore fetches only what it needs.
 */
const indexSchema = z.object({
  /** A reader that knows no such version reads the backup as if it had no index. */
  version: z.literal(1),
  /** Of pg_dump's custom archive format, e.g. `1.16`. */
  format: z.string(),
  /** Bytes of head and table of contents. */
  toc: z.int().positive(),
  /** Their SHA-256, where the backup is not encrypted: age shows by itself whether a part was changed. */
  tocSha256: sha256Schema.optional(),
  /**
   * The data of each entry that has some: its number in the table of contents, its bytes, the pieces that it is made of (each
   * of up to 128 KiB before compression, so that they tell how large a table is), and its SHA-256 where `tocSha256` is there.
   */
  blocks: z.array(
    z
      .tuple([z.int(), z.int().positive(), z.int().nonnegative()])
      .or(z.tuple([z.int(), z.int().positive(), z.int().nonnegative(), sha256Schema])),
  ),
});

/**
 * The manifest of one backup: a JSON object beside the dump, written last. A backup exists only when its manifest does.
 *
 * Contract between the agent, which writes it, and everything that reads the bucket. A reader refuses a newer `version`.
 */
export const manifestSchema = z.object({
  version: z.literal(1),
  /** Exact name of the database that was dumped. */
  database: z.string().min(1),
  /** Time of the snapshot in UTC, `2026-11-24T03:15:02Z`. The object's key carries the same stamp. */
  takenAt: z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
  /** The dump. */
  object: storedSchema,
  /**
   * Roles and grants without passwords: `pg_dumpall --globals-only`, through `zstd`, encrypted as the dump is; null when
   * not taken.
   */
  globals: storedSchema.nullable(),
  format: z.literal("pg_dump-custom"),
  /**
   * `pg_dump-zstd`: pg_dump compressed the data within its archive, which `pg_restore` reads as it is. `zstd`: the whole
   * archive went through `zstd`, because pg_dump cannot before version 16. `none`: neither.
   */
  compression: z.enum(["pg_dump-zstd", "zstd", "none"]),
  encryption: z.enum(["none", "age"]),
  /** Public keys that can decrypt; empty for a passphrase or none. */
  recipients: z.array(z.string()),
  /** Folder by calendar; null without tiers. */
  tier: z.enum(["daily", "weekly", "monthly"]).nullable(),
  /** Why this backup does not count as latest; null for a good one. */
  suspect: z.string().nullable(),
  server: z.object({
    /** `server_version` as the server prints it, e.g. `17.6 (Debian 17.6-1)`. */
    version: z.string(),
    major: z.int(),
    /** `pg_control_system()`; null where the role may not read it. */
    systemIdentifier: z.string().nullable(),
    /**
     * The superuser that the server was made with, `POSTGRES_USER` of an image. Optional, as it was not recorded at first.
     */
    bootstrapRole: z.string().optional(),
    /** Write-ahead log position near the snapshot; null on a standby that cannot tell. */
    lsn: z.string().nullable(),
  }),
  /** Version line of the `pg_dump` that made the archive. */
  pgDump: z.string(),
  /** `pg_database_size` at the snapshot, bytes. */
  databaseBytes: z.int().nonnegative(),
  tables: z.array(tableSchema),
  /** Number of large objects in the snapshot. */
  largeObjects: z.int().nonnegative(),
  durationMs: z.int().nonnegative(),
  /** The database itself. This field and the following ones are absent in older manifests. */
  properties: propertiesSchema.optional(),
  extensions: z.array(extensionSchema).optional(),
  /** Roles that the archive's statements name: owners, grantees, roles of policies and of the database's own settings. */
  roles: z.array(z.string()).optional(),
  /** How far the dump is of the whole database. */
  dump: dumpSchema.optional(),
  /**
   * Where the parts of the archive lie, or the object beside the dump that says so, where that would be too much for a manifest.
   * Absent in older manifests, where pg_dump's archive lies within zstd, and where its format is not known.
   */
  index: z
    .union([indexSchema, z.object({ object: storedSchema })])
    .optional()
    .catch(undefined),
  /**
   * Signature over all the rest, `common/contracts/manifestMac.ts`: its version, the id of the key, HMAC-SHA-256 in hex.
   * Absent where no key was given, and from before signing.
   */
  mac: z.object({ version: z.int(), key: z.string(), value: z.string() }).optional(),
});

export type Manifest = z.infer<typeof manifestSchema>;
export type DatabaseProperties = z.infer<typeof propertiesSchema>;
export type DumpRecord = z.infer<typeof dumpSchema>;
export type ArchiveIndex = z.infer<typeof indexSchema>;
export type TableName = z.infer<typeof tableNameSchema>;

/**
 * Reads an index that lies beside the dump.
 * @returns undefined: it is none, or one of a newer version
 */
export function parseIndex(text: string): ArchiveIndex | undefined {
  try {
    const parsed = indexSchema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : undefined;
  } catch {
    return undefined;
  }
}

/** Total of the rows of all tables. */
export function totalRows({ tables }: Pick<Manifest, "tables">): number {
  return tables.reduce((sum, table) => sum + table.rows, 0);
}

/**
 * Reads a manifest.
 * @param text JSON as stored
 * @param key the manifest's key, for the error
 * @throws Problem when the text is no JSON, is of a newer version, or lacks a field
 */
export function parseManifest(text: string, key: string): Manifest {
  const invalid = (why: string) =>
    new Problem(`manifest ${key} is not valid: ${why}. Choose another backup from the list.`);
  if (text.length > LARGEST_MANIFEST || countValues(text) > MOST_VALUES) {
    throw invalid("it has more in it than any backup has");
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Problem(
      `manifest ${key} is not JSON; the backup cannot be trusted. Choose another one from the list.`,
    );
  }
  const version = (value as { version?: unknown } | null)?.version;
  if (typeof version === "number" && version > 1) {
    throw new Problem(
      `manifest ${key} has version ${version}, this program reads version 1. Use a newer kamal-postgres-backup.`,
    );
  }
  const tooLong = longList(value);
  if (tooLong !== undefined) throw invalid(`a list in it has ${tooLong} entries`);
  const wrong = wrongTable(value) ?? manifestSchema.safeParse(value);
  if (wrong.success) return wrong.data;
  const [issue] = wrong.error.issues;
  const where = issue?.path.join(".") ?? "";
  throw invalid(where === "" ? `${issue?.message}` : `${where}: ${issue?.message}`);
}

// Whoever may write into the bucket can put a manifest there that is small as a text and large in memory, or whose every
// entry is wrong in several ways, each of which the schema would report.

/** Commas and brackets that begin something: as many as values, about. A table has six. */
function countValues(text: string): number {
  let count = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    // , [ {
    if (code === 44 || code === 91 || code === 123) count += 1;
  }
  return count;
}

/** The length of a list, or object, that is longer than any but the tables. */
function longList(whole: unknown): number | undefined {
  const { tables, ...rest } = { ...(whole as object) } as { tables?: unknown };
  const waiting: unknown[] = [Array.isArray(whole) ? whole : rest];
  if (!Array.isArray(tables)) waiting.push(tables);
  for (let value = waiting.pop(); waiting.length > 0 || value; value = waiting.pop()) {
    if (typeof value !== "object" || value === null) continue;
    const parts: unknown[] = Array.isArray(value) ? value : Object.values(value);
    if (parts.length > LONGEST_LIST) return parts.length;
    for (const part of parts) if (typeof part === "object") waiting.push(part);
  }
  return undefined;
}

/** The first wrong ones of the tables, looked at a thousand at a time. */
function wrongTable(value: unknown) {
  const tables = (value as { tables?: unknown } | null)?.tables;
  if (!Array.isArray(tables)) return undefined;
  for (let from = 0; from < tables.length; from += SLICE) {
    const parsed = z.object({ tables: z.array(tableSchema) }).safeParse({
      tables: tables.slice(from, from + SLICE),
    });
    if (!parsed.success) return { success: false, error: parsed.error } as const;
  }
  return undefined;
}
