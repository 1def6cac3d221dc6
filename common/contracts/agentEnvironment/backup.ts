import * as z from "zod";
import { transientTablesFault } from "../tablePattern.ts";
import { flag, nonDefault, splitList, wholeNumber } from "./variables.ts";

/** How a backup is made, checked and kept. */
export interface BackupSettings {
  /** zstd level, 1 to 3. `COMPRESSION_LEVEL` @default 1 */
  readonly compressionLevel: number;
  /** Roles and grants stored beside each dump, without passwords. `BACKUP_GLOBALS` @default true */
  readonly globals: boolean;
  /** Reads each backup back to its end after it was stored. `BACKUP_VERIFY` @default false */
  readonly verify: boolean;
  /**
   * Deletes own backups of this database older than this, where the key may; the latest `atLeast` always stay. Absent:
   * the bucket's own rule expires them. `BACKUP_KEEP_DAYS`, `BACKUP_KEEP_AT_LEAST`
   */
  readonly keep?: KeepSettings;
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
  /**
   * Tables that come and go by design, or are emptied: `staging.*`, `import_*`. One that is missing does not make a backup
   * suspect. `BACKUP_TRANSIENT_TABLES`, with commas between them @default none
   */
  readonly transientTables?: readonly string[];
  /**
   * Longest time that one run of the backup may take, hours; it is stopped then, and the container is unhealthy.
   * `BACKUP_MAX_RUN_HOURS` @default the longer of 6 and the schedule's interval
   */
  readonly maxRunHours?: number;
}

/** Which backups the agent itself deletes. */
export interface KeepSettings {
  readonly days: number;
  readonly atLeast: number;
}

/** Newest backups that are never deleted for their age, unless another number is given. */
export const DEFAULT_KEEP_AT_LEAST = 7;

export const backupVariables = {
  COMPRESSION_LEVEL: wholeNumber("COMPRESSION_LEVEL", 1, 3).default("1"),
  BACKUP_GLOBALS: flag("BACKUP_GLOBALS", "true"),
  BACKUP_VERIFY: flag("BACKUP_VERIFY", "false"),
  BACKUP_KEEP_DAYS: wholeNumber("BACKUP_KEEP_DAYS", 1, 36_500).optional(),
  BACKUP_KEEP_AT_LEAST: wholeNumber("BACKUP_KEEP_AT_LEAST", 1, 10_000).default(
    String(DEFAULT_KEEP_AT_LEAST),
  ),
  BACKUP_TIERS: flag("BACKUP_TIERS", "false"),
  BACKUP_MAX_SHRINK_PERCENT: wholeNumber("BACKUP_MAX_SHRINK_PERCENT", 1, 100).default("50"),
  BACKUP_TRANSIENT_TABLES: z
    .string()
    .superRefine((text, { addIssue }) => {
      const fault = transientTablesFault(splitList(text));
      if (fault !== null) {
        addIssue({
          code: "custom",
          message: `BACKUP_TRANSIENT_TABLES ${fault.replace(/\.$/, "")}`,
        });
      }
    })
    .optional(),
  BACKUP_MAX_RUN_HOURS: wholeNumber("BACKUP_MAX_RUN_HOURS", 1, 596).optional(),
};

type Variables = z.infer<z.ZodObject<typeof backupVariables>>;

export function backupClearEnv(settings: BackupSettings): Record<string, string> {
  return nonDefault([
    ["COMPRESSION_LEVEL", settings.compressionLevel, "1"],
    ["BACKUP_GLOBALS", settings.globals, "true"],
    ["BACKUP_VERIFY", settings.verify, "false"],
    ["BACKUP_KEEP_DAYS", settings.keep?.days],
    ["BACKUP_KEEP_AT_LEAST", settings.keep?.atLeast, String(DEFAULT_KEEP_AT_LEAST)],
    ["BACKUP_TIERS", settings.tiers, "false"],
    ["BACKUP_MAX_SHRINK_PERCENT", settings.maxShrinkPercent, "50"],
    ["BACKUP_TRANSIENT_TABLES", settings.transientTables?.join(",")],
    ["BACKUP_MAX_RUN_HOURS", settings.maxRunHours],
  ]);
}

export function parseBackup(e: Variables): BackupSettings {
  return {
    compressionLevel: Number(e.COMPRESSION_LEVEL),
    globals: e.BACKUP_GLOBALS === "true",
    verify: e.BACKUP_VERIFY === "true",
    ...(e.BACKUP_KEEP_DAYS !== undefined && {
      keep: { days: Number(e.BACKUP_KEEP_DAYS), atLeast: Number(e.BACKUP_KEEP_AT_LEAST) },
    }),
    tiers: e.BACKUP_TIERS === "true",
    maxShrinkPercent: Number(e.BACKUP_MAX_SHRINK_PERCENT),
    ...(e.BACKUP_TRANSIENT_TABLES !== undefined && {
      transientTables: splitList(e.BACKUP_TRANSIENT_TABLES),
    }),
    ...(e.BACKUP_MAX_RUN_HOURS !== undefined && { maxRunHours: Number(e.BACKUP_MAX_RUN_HOURS) }),
  };
}
