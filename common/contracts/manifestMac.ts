import { createHmac, timingSafeEqual } from "node:crypto";
import { Problem } from "../problem.ts";
import type { Manifest } from "./manifest.ts";

/**
 * A key by which manifests are signed, and by which it is seen that whoever has written one knows it: HMAC-SHA-256
 * (RFC 2104), so that signing costs microseconds and the same key checks.
 */
export interface SigningKey {
  /** 16 hexadecimal digits that name the key in a manifest and tell nothing of it. */
  readonly id: string;
  readonly bytes: Buffer;
}

/** What the signature of a manifest is worth to whoever has these keys. */
export type Signature = (typeof SIGNATURES)[number];
export const SIGNATURES = [
  /** Written by somebody who has one of the keys, and unchanged since. */
  "signed",
  /** Without a signature, as all were before signing. */
  "unsigned",
  /** Changed since it was signed, or made up. */
  "wrong",
  /** Signed with a key that is not among these. */
  "unknown key",
] as const;

/**
 * Why a backup may be somebody else's. While a signed backup of the database is there: `unsigned`, `wrongly signed`,
 * `signed with an unknown key`, `unreadable manifest`. Where the settings encrypt: `in clear`. `replay`: the bytes of one
 * that was stored before it.
 */
export type OriginProblem = (typeof ORIGIN_PROBLEMS)[number];
export const ORIGIN_PROBLEMS = [
  "unsigned",
  "wrongly signed",
  "signed with an unknown key",
  "unreadable manifest",
  "in clear",
  "replay",
] as const;

/** Of a key, random. */
export const SIGNING_KEY_BYTES = 32;
const VERSION = 1;
/** Deeper than any manifest, and far from what overflows the stack. */
const DEEPEST = 64;

/**
 * Reads signing keys, the first of which signs; the others are earlier ones, and only check.
 * @param text keys of 32 bytes in base64url, with commas between them
 * @param setting what the error calls them; the keys never stand in it
 * @throws Problem when one is no such key
 */
export function parseSigningKeys(text: string, setting: string): SigningKey[] {
  return splitSigningKeys(text).map((word) => {
    const bytes = Buffer.from(word, "base64url");
    if (bytes.length !== SIGNING_KEY_BYTES || bytes.toString("base64url") !== word) {
      throw new Problem(
        `${setting} holds something that is no signing key: 32 bytes in base64url, 43 characters, several with commas between them.`,
      );
    }
    const id = createHmac("sha256", bytes).update("kamal-postgres-backup signing key id");
    return { id: id.digest("hex").slice(0, 16), bytes };
  });
}

/** The keys of such a text, as they stand there. */
export function splitSigningKeys(text: string): string[] {
  return text
    .split(",")
    .map((word) => word.trim())
    .filter(Boolean);
}

/** What is signed; a signature of one is none of another. */
export type SignedKind =
  | "manifest"
  | "restore record"
  | "drill record"
  | "mark"
  | "wal chain"
  | "base backup";

/** The manifest with its signature, over all that stands in it. */
export function signManifest(manifest: Manifest, keys: readonly SigningKey[]): Manifest {
  const { mac: _, ...unsigned } = manifest;
  const mac = signatureOf(unsigned, keys, "manifest");
  return mac === undefined ? unsigned : { ...unsigned, mac };
}

/**
 * The signature over all of a value, which has none yet.
 * @param keys the first one signs
 * @returns undefined without a key
 */
export function signatureOf(
  unsigned: object,
  [key]: readonly SigningKey[],
  kind: SignedKind,
): NonNullable<Manifest["mac"]> | undefined {
  if (key === undefined) return undefined;
  const value = macOf(unsigned, key, kind)?.toString("hex") ?? "";
  return { version: VERSION, key: key.id, value };
}

/**
 * @param stored as its JSON was read, with the fields that this version does not know
 */
export function checkSignature(
  stored: unknown,
  keys: readonly SigningKey[],
  kind: SignedKind = "manifest",
): Signature {
  const { mac, ...unsigned } = stored as Record<string, unknown>;
  if (mac === undefined || mac === null) return "unsigned";
  const { version, key: id, value } = mac as Record<string, unknown>;
  const key = keys.find((one) => one.id === id);
  if (version !== VERSION || key === undefined) return "unknown key";
  const expected = macOf(unsigned, key, kind);
  const found = Buffer.from(typeof value === "string" ? value : "", "hex");
  const right = expected?.length === found.length && timingSafeEqual(expected, found);
  return right ? "signed" : "wrong";
}

/**
 * What is signed: one line that names the purpose, and the manifest without `mac` in the canonical form of RFC 8785 (JCS):
 * no blanks, the names of each object in the order of their UTF-16 code units, strings and numbers as JSON.stringify
 * writes them.
 * @returns undefined for a text that is nested deeper than a manifest ever is
 */
export function canonicalText(value: unknown): string | undefined {
  const parts: string[] = [];
  const write = (one: unknown, depth: number): boolean => {
    if (depth > DEEPEST) return false;
    if (typeof one !== "object" || one === null) {
      parts.push(JSON.stringify(one));
      return true;
    }
    const isList = Array.isArray(one);
    // What is undefined does not stand in JSON.
    const entries = isList
      ? one.map((part) => ["", part] as const)
      : Object.entries(one)
          .filter(([, part]) => part !== undefined)
          .sort(([a], [b]) => (a < b ? -1 : 1));
    parts.push(isList ? "[" : "{");
    for (const [index, [name, part]] of entries.entries()) {
      if (index > 0) parts.push(",");
      if (!isList) parts.push(JSON.stringify(name), ":");
      if (!write(part, depth + 1)) return false;
    }
    parts.push(isList ? "]" : "}");
    return true;
  };
  return write(value, 0) ? parts.join("") : undefined;
}

function macOf(unsigned: unknown, { bytes }: SigningKey, kind: SignedKind): Buffer | undefined {
  const text = canonicalText(unsigned);
  if (text === undefined) return undefined;
  return createHmac("sha256", bytes)
    .update(`kamal-postgres-backup ${kind} ${VERSION}\n`)
    .update(text)
    .digest();
}
