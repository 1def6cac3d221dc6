import type { DrillRecord } from "../../common/contracts/drillRecord.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import type { RestoreRecord } from "../../common/contracts/restoreRecord.ts";

/** How the bytes of a backup were treated on their way to the bucket. */
export type Treatment = Pick<Manifest, "compression" | "encryption">;

/** Folders below the prefix, by calendar, each with an expiry of its own. */
export const TIERS = ["daily", "weekly", "monthly"] as const;
export type Tier = (typeof TIERS)[number];

/** Folder below the prefix in which the parts of a backup may lie; null: the prefix itself. */
export type Folder = Tier | "suspect" | null;
export const FOLDERS: readonly Folder[] = [null, ...TIERS, "suspect"];

interface Place {
  readonly database: string;
  readonly stamp: string;
  readonly folder: Folder;
}

/** What a key in the bucket says. Stamps are UTC, `2026-11-24T03:15:02`. */
export type ParsedKey =
  | ({ readonly kind: "ours" } & Place & Pick<Treatment, "encryption">)
  /** `globals`: roles and grants beside the dump. `index`: where the parts of the dump lie. */
  | ({ readonly kind: "manifest" | "globals" | "index" } & Place)
  /** The mark that the dump was read back whole. */
  | ({ readonly kind: "verified"; readonly mac?: string } & Place)
  /** The mark that the dump was there before the deploy of a revision. */
  | ({ readonly kind: "deploy"; readonly revision: string; readonly mac?: string } & Place)
  | {
      /** Written by `postgres-backup-s3` or a fork of it. */
      readonly kind: "legacy";
      readonly database: string;
      readonly stamp: string;
      readonly encryption: "none" | "gpg";
    };

const stampPattern = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d`;
/** What a revision may be made of: Kamal has it as the tag of the application's image. */
const revisionPattern = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const revisionForm = new RegExp(`^${revisionPattern}$`);
const ownForm = new RegExp(
  String.raw`^(?:(daily|weekly|monthly|suspect)/)?([^/]+)_(${stampPattern})\.(manifest\.json|(?:verified|before-deploy\.(${revisionPattern}?))(?:\.signed-([0-9a-f]{32}))?\.json|(?:pgdump|dump\.zst)(\.age)?|pgdump(?:\.age)?\.index|globals\.sql\.zst(?:\.age)?)$`,
);
const recordForm = new RegExp(String.raw`^(${stampPattern})\.\d{3}_[^/]+\.(?:restore|undo)\.json$`);
const drillForm = new RegExp(String.raw`^(${stampPattern})\.\d{3}_([^/]+)\.drill\.json$`);
const legacyForm = new RegExp(String.raw`^(.+)_(${stampPattern})\.dump(\.gpg)?$`, "s");

/** The UTC second of a date as keys carry it. */
export function stampOf(date: Date): string {
  return date.toISOString().slice(0, 19);
}

/** Whether a text is a stamp that names a real day and time. */
export function isStamp(text: string): boolean {
  const date = new Date(`${text}Z`);
  return !Number.isNaN(date.getTime()) && stampOf(date) === text;
}

/**
 * Key of a dump: `.pgdump` is an archive that pg_restore reads as it is, `.dump.zst` one inside `zstd`. Never `.dump`
 * alone: the old image wrote that, and it counts as complete without a manifest, as our own half of a run must not.
 */
export function dumpKey(
  prefix: string,
  database: string,
  stamp: string,
  { compression, encryption }: Treatment,
  folder: Folder = null,
): string {
  const archive = compression === "zstd" ? "dump.zst" : "pgdump";
  const encrypted = encryption === "age" ? ".age" : "";
  return `${stem(prefix, database, folder)}${stamp}.${archive}${encrypted}`;
}

/**
 * Key of the manifest of the dump with the same database and stamp. A manifest under `suspect` makes its backup a
 * suspect one, wherever the dump lies: readers who do not know that folder see a dump without manifest.
 */
export function manifestKey(
  prefix: string,
  database: string,
  stamp: string,
  folder: Folder = null,
): string {
  return `${stem(prefix, database, folder)}${stamp}.manifest.json`;
}

/** Key of the roles and grants that belong to the dump. */
export function globalsKey(
  prefix: string,
  database: string,
  stamp: string,
  { encryption }: Pick<Treatment, "encryption">,
  folder: Folder = null,
): string {
  const encrypted = encryption === "age" ? ".age" : "";
  return `${stem(prefix, database, folder)}${stamp}.globals.sql.zst${encrypted}`;
}

/**
 * Key of the index of a dump, which says where its parts lie, where the manifest does not say it itself.
 * @param dump key of the dump
 */
export function indexKey(dump: string): string {
  return `${dump}.index`;
}

/**
 * Key of the mark that a dump was read back to its end and found whole; it lies beside the dump.
 * @param mac the mark's signature, which stands in its name: so a list tells what a mark is worth, and one that somebody has
 * made up takes no name from a true one @default it is not signed
 */
export function verifiedKey(
  prefix: string,
  database: string,
  stamp: string,
  folder: Folder = null,
  mac?: string,
): string {
  return `${stem(prefix, database, folder)}${stamp}.verified${signedPart(mac)}.json`;
}

/** Whether a text can be a revision that is deployed, as `KAMAL_VERSION` has it. */
export function isRevision(text: string): boolean {
  return revisionForm.test(text);
}

/**
 * Key of the mark that a dump was there before the deploy of a revision; it lies beside the dump.
 * @param mac as of `verifiedKey`
 */
export function deployKey(
  prefix: string,
  database: string,
  stamp: string,
  revision: string,
  folder: Folder = null,
  mac?: string,
): string {
  return `${stem(prefix, database, folder)}${stamp}.before-deploy.${revision}${signedPart(mac)}.json`;
}

function signedPart(mac: string | undefined): string {
  return mac === undefined ? "" : `.signed-${mac}`;
}

/** What the keys of the records of restores and undos begin with, whatever their database. */
export function recordStem(prefix: string): string {
  return `${prefix}/restores/`;
}

/**
 * Key of the record of a restore or an undo.
 * @param startedAt ISO 8601 in UTC with milliseconds: two tries may fall into one second
 */
export function recordKey(
  prefix: string,
  { startedAt, database, action }: Pick<RestoreRecord, "startedAt" | "database" | "action">,
): string {
  const stamp = startedAt.replace("Z", "");
  return `${recordStem(prefix)}${stamp}_${encodeURIComponent(database)}.${action}.json`;
}

/** The UTC second at which a recorded restore or undo began; undefined when the key is none of a record. */
export function recordStamp(prefix: string, key: string): string | undefined {
  if (!key.startsWith(recordStem(prefix))) return undefined;
  const stamp = recordForm.exec(key.slice(recordStem(prefix).length))?.[1];
  return stamp !== undefined && isStamp(stamp) ? stamp : undefined;
}

/** What the keys of the marks of reported failures begin with, whatever their database. */
export function alertStem(prefix: string): string {
  return `${prefix}/alerts/`;
}

/** A failure that was reported to a chat, or its end. */
export interface AlertMark {
  /** When the run ended. */
  readonly at: Date;
  /** Empty: a run that ended before it was known which databases there are. */
  readonly database: string;
  readonly state: "failing" | "well";
}

/** Key of such a mark: in the order of their times, and of one database never two at the same. */
export function alertKey(prefix: string, { at, database, state }: AlertMark): string {
  const stamp = at.toISOString().replace("Z", "");
  return `${alertStem(prefix)}${stamp}_${encodeURIComponent(database)}.${state}.json`;
}

/** Reads the key of a mark; undefined when it is none. */
export function parseAlertKey(
  prefix: string,
  key: string,
): Pick<AlertMark, "database" | "state"> | undefined {
  if (!key.startsWith(alertStem(prefix))) return undefined;
  const [, encoded = "", state] =
    /^\d{4}-\d\d-\d\dT[\d:.]+_(.*)\.(failing|well)\.json$/.exec(
      key.slice(alertStem(prefix).length),
    ) ?? [];
  if (state === undefined) return undefined;
  try {
    return { database: decodeURIComponent(encoded), state: state as AlertMark["state"] };
  } catch {
    return undefined;
  }
}

/** What the keys of the records of drills begin with, whatever their database. */
export function drillStem(prefix: string): string {
  return `${prefix}/drills/`;
}

/**
 * Key of the record of a drill.
 * @param startedAt ISO 8601 in UTC with milliseconds
 */
export function drillKey(
  prefix: string,
  { startedAt, database }: Pick<DrillRecord, "startedAt" | "database">,
): string {
  return `${drillStem(prefix)}${startedAt.replace("Z", "")}_${encodeURIComponent(database)}.drill.json`;
}

/** The database of a recorded drill, and the UTC second at which it began; undefined when the key is none of a record. */
export function parseDrillKey(
  prefix: string,
  key: string,
): Pick<Place, "database" | "stamp"> | undefined {
  if (!key.startsWith(drillStem(prefix))) return undefined;
  const [, stamp, encoded] = drillForm.exec(key.slice(drillStem(prefix).length)) ?? [];
  return decoded(encoded, stamp);
}

/** What all our keys of a database in a folder begin with; keys of other databases may begin so too. */
export function stem(prefix: string, database: string, folder: Folder = null): string {
  const below = folder === null ? "" : `${folder}/`;
  return `${prefix}/${below}${encodeURIComponent(database)}_`;
}

/** What all keys of a database by the old image begin with, which wrote the name as it is. */
export function legacyStem(prefix: string, database: string): string {
  return `${prefix}/${database}_`;
}

/** Reads a key; undefined when it is no backup under this prefix. */
export function parseKey(prefix: string, key: string): ParsedKey | undefined {
  if (!key.startsWith(`${prefix}/`)) return undefined;
  const name = key.slice(prefix.length + 1);

  const own = ownForm.exec(name);
  if (own !== null) {
    const [, folder, encoded, stamp, rest = "", revision, mac, encrypted] = own;
    const named = decoded(encoded, stamp);
    if (named === undefined) return undefined;
    const place = { ...named, folder: (folder ?? null) as Folder };
    const signed = mac === undefined ? {} : { mac };
    if (revision !== undefined) return { kind: "deploy", revision, ...signed, ...place };
    if (rest.endsWith(".index")) return { kind: "index", ...place };
    const [kind] = rest.split(".");
    if (kind === "verified") return { kind, ...signed, ...place };
    if (kind === "manifest" || kind === "globals") return { kind, ...place };
    return { kind: "ours", ...place, encryption: encrypted === undefined ? "none" : "age" };
  }
  const [, database, stamp, gpg] = legacyForm.exec(name) ?? [];
  if (database === undefined || stamp === undefined || !isStamp(stamp)) return undefined;
  return { kind: "legacy", database, stamp, encryption: gpg === undefined ? "none" : "gpg" };
}

/** Only the one spelling that we write counts, so that two keys never name the same backup. */
function decoded(encoded: string | undefined, stamp: string | undefined) {
  if (encoded === undefined || stamp === undefined || !isStamp(stamp)) return undefined;
  try {
    const database = decodeURIComponent(encoded);
    return encodeURIComponent(database) === encoded ? { database, stamp } : undefined;
  } catch {
    // A broken escape: the key was not written by us.
    return undefined;
  }
}
