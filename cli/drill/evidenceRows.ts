import type { DrillRecord } from "../../common/contracts/drillRecord.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { totalRows } from "../../common/contracts/manifest.ts";
import type { Signature } from "../../common/contracts/manifestMac.ts";
import type { RestoreRecord } from "../../common/contracts/restoreRecord.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { stateOf } from "../backups/states.ts";

/** What a signature is worth; `not checked`: no key is known; `unreadable`: what should carry it cannot be read. */
export type Checked = Signature | "not checked" | "unreadable";

/** One thing that an auditor asks for, as one line of the table. */
export interface EvidenceRow {
  readonly what: "backup" | "verification" | "drill" | "restore" | "undo";
  /** ISO 8601 in UTC. */
  readonly at: string;
  readonly database: string;
  /** Time of the backup that it is about. */
  readonly backup: string;
  /** `complete`, `passed`, `done` and the like. */
  readonly result: string;
  readonly signature: Checked;
  /** Figures and reasons, for people. */
  readonly detail: string;
  /** Object in the bucket that says so. */
  readonly object: string;
}

/** A backup with its manifest. */
export interface BackupEvidence {
  readonly entry: CatalogueEntry;
  /** null: there is none that can be read. */
  readonly manifest: Manifest | null;
  readonly signature: Checked;
  /** When it was read back whole; null: it was not, or the mark does not count. */
  readonly verifiedAt: string | null;
}

export function backupRows({
  entry,
  manifest,
  signature,
  verifiedAt,
}: BackupEvidence): EvidenceRow[] {
  const { database, stamp, key, bytes, verifiedKey } = entry;
  const about = { database, backup: stamp };
  const figures =
    manifest === null
      ? [`${bytes} bytes`]
      : [
          `${bytes} bytes`,
          `${manifest.tables.length} tables`,
          `${totalRows(manifest)} rows`,
          `sha256 ${manifest.object.sha256}`,
          manifest.encryption === "none" ? "not encrypted" : "encrypted",
        ];
  return [
    {
      what: "backup",
      at: `${stamp}Z`,
      ...about,
      result: stateOf(entry),
      signature,
      detail: figures.join(", "),
      object: key,
    },
    ...(verifiedKey === null || verifiedAt === null
      ? []
      : [
          {
            what: "verification" as const,
            at: verifiedAt,
            ...about,
            result: "read to its end",
            // One that is not signed does not count where keys are known.
            signature: signature === "not checked" ? signature : ("signed" as const),
            detail: "",
            object: verifiedKey,
          },
        ]),
  ];
}

export function drillRow(
  { key, record }: { readonly key: string; readonly record: DrillRecord },
  signature: Checked,
): EvidenceRow {
  const { verdict, reason, rtoMs, totalMs, tables, rows, checks, upgradeTo } = record;
  const passed = checks.filter((check) => check.passed).length;
  const detail = [
    ...(record.compared ? [`${tables} tables and ${rows} rows equal to the backup`] : []),
    ...(checks.length === 0 ? [] : [`${passed} of ${checks.length} checks passed`]),
    `${Math.round(totalMs / 1000)} s${rtoMs === null ? "" : ` of ${Math.round(rtoMs / 1000)} s allowed`}`,
    ...(upgradeTo === null ? [] : [`into PostgreSQL ${upgradeTo}`]),
    ...(reason === null ? [] : [reason]),
  ];
  return {
    what: "drill",
    at: record.startedAt,
    database: record.database,
    backup: record.backup?.stamp ?? "",
    result: verdict === "couldNotRun" ? "could not run" : verdict,
    signature,
    detail: detail.join(", "),
    object: key,
  };
}

export function restoreRow(
  { key, record }: { readonly key: string; readonly record: RestoreRecord },
  signature: Checked,
): EvidenceRow {
  const { action, startedAt, database, from, result, elapsedMs, error } = record;
  return {
    what: action,
    at: startedAt,
    database,
    backup: from,
    result,
    signature,
    detail: [`${Math.round(elapsedMs / 1000)} s`, ...(error === null ? [] : [error])].join(", "),
    object: key,
  };
}

const COLUMNS = [
  "what",
  "at",
  "database",
  "backup",
  "result",
  "signature",
  "detail",
  "object",
] as const;

/**
 * The rows as CSV (RFC 4180), with a line of names. A cell that a spreadsheet would run as a formula gets an apostrophe in front:
 * names of databases and the server's messages are other people's.
 */
export function toCsv(rows: readonly EvidenceRow[]): string {
  const lines = [COLUMNS, ...rows.map((row) => COLUMNS.map((column) => row[column]))];
  return lines.map((cells) => `${cells.map(cellOf).join(",")}\r\n`).join("");
}

function cellOf(text: string): string {
  const harmless = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(harmless) ? `"${harmless.replaceAll('"', '""')}"` : harmless;
}
