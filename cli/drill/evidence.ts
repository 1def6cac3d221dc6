import type { SigningKey } from "../../common/contracts/manifestMac.ts";
import { Problem } from "../../common/problem.ts";
import { listDatabases } from "../../storage/catalogue/catalogue.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { readDrillRecords } from "../../storage/catalogue/drillRecords.ts";
import { listJudged, type Trust } from "../../storage/catalogue/judgeOrigin.ts";
import { forEachAtOnce, readSigned } from "../../storage/catalogue/readManifest.ts";
import { readRestoreRecords } from "../../storage/catalogue/restoreRecords.ts";
import { readStart } from "../../storage/s3/download.ts";
import { explain } from "../../storage/s3/errors.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { bucketTrust, withReader } from "../backups/bucketSource.ts";
import type { Session } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import { EXIT } from "../terminal/exitCodes.ts";
import { plural } from "../terminal/format.ts";
import {
  type BackupEvidence,
  backupRows,
  type Checked,
  drillRow,
  type EvidenceRow,
  restoreRow,
  toCsv,
} from "./evidenceRows.ts";

export interface EvidenceOptions {
  /** First day, UTC, as it was typed. @default 365 days ago */
  readonly since?: string;
}

/** Records of each kind that are read; drills of each database. */
const MOST_RECORDS = 5_000;
const DAY_MS = 86_400_000;

/**
 * Exports what proves that backups were made, read back, drilled and restored: as CSV, or with --json as one document. Each
 * signature is checked with the stack's keys.
 * @returns the exit code: `badNews` where something was changed since it was signed
 * @throws Problem when the bucket cannot be read with the reader's key
 */
export async function evidence(
  session: Session,
  stack: StackChoice,
  options: EvidenceOptions,
): Promise<number> {
  const { backup, screen } = session;
  const since = firstDay(options.since);
  screen.waiting("reading backups and records in the bucket");
  const trust = await bucketTrust(session, stack);
  const rows = await withReader(session, stack, async (store) => {
    const names = session.databases ?? (await listDatabases(store));
    return rowsSince(store, { names, since, trust });
  });
  const { bucket, prefix } = backup.location;
  screen.clear();
  if (!screen.json) screen.terminal.out.write(toCsv(rows));
  screen.document({
    backup: backup.name,
    location: `s3://${bucket}/${prefix}`,
    since,
    exportedAt: new Date().toISOString(),
    schedule: backup.schedule,
    rpoHours: backup.rpoHours,
    rtoMs: backup.drill?.rtoMs ?? null,
    retentionDays: backup.retentionDays ?? null,
    tierDays: backup.tierDays ?? null,
    encrypted: backup.encrypts ?? false,
    signingKeys: trust.keys.map(({ id }) => id),
    evidence: rows,
  });
  const wrong = rows.filter(({ signature }) => signature === "wrong");
  const unsigned = rows.filter(({ signature }) => signature !== "signed").length - wrong.length;
  screen.warn(
    `${plural(rows.length, "row")} since ${since.slice(0, 10)}: ${rows.length - unsigned - wrong.length} signed with the stack's keys, ${unsigned} not, ${wrong.length} changed since.`,
  );
  for (const { what, at, object } of wrong.slice(0, 10)) {
    screen.warn(`changed since it was signed, or made up: ${what} of ${at} (${object})`);
  }
  return wrong.length > 0 ? EXIT.badNews : EXIT.well;
}

/** Everything since a time, oldest first. What has expired is not in the bucket any more. */
export async function rowsSince(
  store: ObjectStore,
  {
    names,
    since,
    trust,
  }: { readonly names: readonly string[]; readonly since: string; readonly trust: Trust },
): Promise<EvidenceRow[]> {
  const { keys } = trust;
  const rows: EvidenceRow[] = [];
  for (const name of names) {
    const entries = await listJudged(store, name, trust);
    const young = entries.filter(({ stamp }) => `${stamp}Z` >= since.slice(0, 19));
    await forEachAtOnce(young, async (entry) => {
      rows.push(...backupRows(await readEvidence(store, entry, keys)));
    });
  }
  const isNamed = ({ record }: { readonly record: { readonly database: string } }) =>
    names.includes(record.database);
  for (const drill of (await readDrillRecords(store, { keys, most: MOST_RECORDS })).filter(
    isNamed,
  )) {
    rows.push(drillRow(drill, drill.signature ?? "not checked"));
  }
  // A restore may have got another name than that of the database that was backed up.
  for (const restored of await restores(store, keys)) {
    rows.push(restoreRow(restored, restored.signature ?? "not checked"));
  }
  return rows.filter(({ at }) => at >= since).toSorted((a, b) => (a.at < b.at ? -1 : 1));
}

async function restores(store: ObjectStore, keys: readonly SigningKey[]) {
  try {
    return await readRestoreRecords(store, MOST_RECORDS, keys);
  } catch (error) {
    throw explain(error, store.address, "read the records of restores");
  }
}

async function readEvidence(
  store: ObjectStore,
  entry: CatalogueEntry,
  keys: readonly SigningKey[],
): Promise<BackupEvidence> {
  const verifiedAt = await verificationTime(store, entry);
  if (entry.manifestKey === null) {
    return { entry, manifest: null, signature: "unsigned", verifiedAt };
  }
  try {
    const { manifest, signature } = await readSigned(store, entry, keys);
    const checked: Checked = keys.length === 0 ? "not checked" : signature;
    return { entry, manifest, signature: checked, verifiedAt };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { entry, manifest: null, signature: "unreadable", verifiedAt };
  }
}

/** The mark's own time: its name is signed, and says of which dump it is. */
async function verificationTime(
  store: ObjectStore,
  { verifiedKey }: CatalogueEntry,
): Promise<string | null> {
  if (verifiedKey === null) return null;
  try {
    const { at } = JSON.parse(String(await readStart(store, verifiedKey, 4096)));
    return typeof at === "string" && !Number.isNaN(Date.parse(at)) ? at : null;
  } catch {
    return null;
  }
}

/** Where a day begins, in ISO 8601; without one 365 days ago. @throws Problem when it is no day */
export function firstDay(text: string | undefined): string {
  if (text === undefined) return new Date(Date.now() - 365 * DAY_MS).toISOString();
  const day = /^\d{4}-\d\d-\d\d$/.test(text) ? new Date(`${text}T00:00:00.000Z`) : undefined;
  // February 31 is taken for March 3, and two days would be missing.
  if (day !== undefined && !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text)) {
    return day.toISOString();
  }
  throw new Problem(`--since ${text} must be a day, such as 2026-01-01.`);
}
