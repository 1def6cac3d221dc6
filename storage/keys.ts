/** How the bytes of a backup were treated on their way to the bucket. */
export interface Treatment {
  /** `none`: pg_dump's archive as it is. */
  readonly compression: "zstd" | "none";
  readonly encryption: "none" | "age";
}

/** What a key in the bucket says. Stamps are UTC, `2026-11-24T03:15:02`. */
export type ParsedKey =
  | ({ readonly kind: "ours"; readonly database: string; readonly stamp: string } & Treatment)
  | { readonly kind: "manifest"; readonly database: string; readonly stamp: string }
  | {
      /** Written by `postgres-backup-s3` or a fork of it. */
      readonly kind: "legacy";
      readonly database: string;
      readonly stamp: string;
      readonly encryption: "none" | "gpg";
    };

const stampPattern = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d`;
const manifestForm = new RegExp(String.raw`^(.+)_(${stampPattern})\.manifest\.json$`);
const dumpForm = new RegExp(String.raw`^(.+)_(${stampPattern})\.dump\.(zst|raw)(\.age)?$`);
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
 * Key of a dump. An uncompressed one ends in `.dump.raw`, since `.dump` alone is what the old image wrote, and that
 * counts as complete without a manifest.
 */
export function dumpKey(
  prefix: string,
  database: string,
  stamp: string,
  { compression, encryption }: Treatment,
): string {
  const compressed = compression === "zstd" ? ".zst" : ".raw";
  const encrypted = encryption === "age" ? ".age" : "";
  return `${stem(prefix, database)}${stamp}.dump${compressed}${encrypted}`;
}

/** Key of the manifest of the dump with the same database and stamp. */
export function manifestKey(prefix: string, database: string, stamp: string): string {
  return `${stem(prefix, database)}${stamp}.manifest.json`;
}

/** What all our keys of a database begin with; keys of other databases may begin so too. */
export function stem(prefix: string, database: string): string {
  return `${prefix}/${encodeURIComponent(database)}_`;
}

/** What all keys of a database by the old image begin with, which wrote the name as it is. */
export function legacyStem(prefix: string, database: string): string {
  return `${prefix}/${database}_`;
}

/** Reads a key; undefined when it is no backup under this folder. */
export function parseKey(prefix: string, key: string): ParsedKey | undefined {
  if (!key.startsWith(`${prefix}/`)) return undefined;
  const name = key.slice(prefix.length + 1);

  const manifest = manifestForm.exec(name);
  if (manifest !== null) {
    const named = decoded(manifest[1], manifest[2]);
    return named && { kind: "manifest", ...named };
  }
  const dump = dumpForm.exec(name);
  if (dump !== null) {
    const named = decoded(dump[1], dump[2]);
    return (
      named && {
        kind: "ours",
        ...named,
        compression: dump[3] === "zst" ? "zstd" : "none",
        encryption: dump[4] === undefined ? "none" : "age",
      }
    );
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
