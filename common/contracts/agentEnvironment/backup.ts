import type { z } from "zod";
import type { AgentSettings } from "./environment.ts";
import { flag, whole, written } from "./variables.ts";

/** The variables of how a backup is made, checked and kept. */
export const backupVariables = {
  COMPRESSION_LEVEL: whole("COMPRESSION_LEVEL", 1, 3).default("1"),
  BACKUP_GLOBALS: flag("BACKUP_GLOBALS", "true"),
  BACKUP_VERIFY: flag("BACKUP_VERIFY", "false"),
  BACKUP_KEEP_DAYS: whole("BACKUP_KEEP_DAYS", 1, 36_500).optional(),
  BACKUP_KEEP_AT_LEAST: whole("BACKUP_KEEP_AT_LEAST", 1, 10_000).default("7"),
  BACKUP_TIERS: flag("BACKUP_TIERS", "false"),
  BACKUP_MAX_SHRINK_PERCENT: whole("BACKUP_MAX_SHRINK_PERCENT", 1, 100).default("50"),
};

type Variables = z.infer<z.ZodObject<typeof backupVariables>>;
type BackupSettings = Pick<
  AgentSettings,
  "compressionLevel" | "globals" | "verify" | "keep" | "tiers" | "maxShrinkPercent"
>;

export function clearBackup(settings: BackupSettings): Record<string, string> {
  return written([
    ["COMPRESSION_LEVEL", settings.compressionLevel, "1"],
    ["BACKUP_GLOBALS", settings.globals, "true"],
    ["BACKUP_VERIFY", settings.verify, "false"],
    ["BACKUP_KEEP_DAYS", settings.keep?.days],
    ["BACKUP_KEEP_AT_LEAST", settings.keep?.atLeast, "7"],
    ["BACKUP_TIERS", settings.tiers, "false"],
    ["BACKUP_MAX_SHRINK_PERCENT", settings.maxShrinkPercent, "50"],
  ]);
}

export function backupOf(e: Variables): BackupSettings {
  return {
    compressionLevel: Number(e.COMPRESSION_LEVEL),
    globals: e.BACKUP_GLOBALS === "true",
    verify: e.BACKUP_VERIFY === "true",
    ...(e.BACKUP_KEEP_DAYS !== undefined && {
      keep: { days: Number(e.BACKUP_KEEP_DAYS), atLeast: Number(e.BACKUP_KEEP_AT_LEAST) },
    }),
    tiers: e.BACKUP_TIERS === "true",
    maxShrinkPercent: Number(e.BACKUP_MAX_SHRINK_PERCENT),
  };
}
