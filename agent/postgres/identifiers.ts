import { createHash } from "node:crypto";

/** PostgreSQL cuts longer names silently, so two names could become one. */
const LONGEST_NAME_BYTES = 63;

/** A name as a quoted SQL identifier. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text as a quoted SQL literal, whatever `standard_conforming_strings` says. */
export function literal(text: string): string {
  const quoted = `'${text.replaceAll("'", "''").replaceAll("\\", "\\\\")}'`;
  return text.includes("\\") ? `E${quoted}` : quoted;
}

/** `20261124T031502` in UTC: fit for a database name. */
export function compactStamp(date: Date): string {
  return date.toISOString().slice(0, 19).replaceAll("-", "").replaceAll(":", "");
}

/**
 * Name of a database made beside another one: `shop_before_20261124T031502`. When it would exceed the 63 bytes that
 * PostgreSQL allows, the first part is cut at a character and a digest of the whole keeps different names apart.
 */
export function siblingName(
  database: string,
  word: "restore" | "before" | "undone",
  stamp: string,
) {
  const suffix = `_${word}_${stamp}`;
  if (Buffer.byteLength(database + suffix) <= LONGEST_NAME_BYTES) return database + suffix;
  const digest = `~${createHash("sha256").update(database).digest("hex").slice(0, 8)}`;
  let kept = database;
  while (Buffer.byteLength(kept + digest + suffix) > LONGEST_NAME_BYTES) {
    kept = [...kept].slice(0, -1).join("");
  }
  return kept + digest + suffix;
}
