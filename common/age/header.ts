import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { Problem } from "../problem.ts";
import { parseRecipient } from "./keys.ts";
import {
  type AgeSecrets,
  derive,
  type Stanza,
  unpadded,
  unwrapByIdentity,
  unwrapByPassphrase,
  wrapForPassphrase,
  wrapForRecipient,
} from "./stanzas.ts";

// The header of an age v1 file, by the specification https://c2sp.org/age, sections "Header" and "Payload"; the words are
// the specification's: file key, stanza, header MAC, payload key.

/** For whom a file is encrypted: recipients (`age1...`), or whoever knows a passphrase. */
export type Encryption =
  | { readonly recipients: readonly string[] }
  | { readonly passphrase: string };

/** The header of an age file. */
export interface Header {
  readonly stanzas: readonly Stanza[];
  /** From the file's first byte to the first chunk: the header, and the nonce that the payload begins with. */
  readonly bytes: number;
  /** What the MAC covers: up to and including the `---` of the last line. */
  readonly macInput: Buffer;
  readonly mac: Buffer;
  /** First bytes of the payload, from which its key is derived. */
  readonly nonce: Buffer;
}

/** The version line. */
const VERSION_LINE = "age-encryption.org/v1";
const NONCE_BYTES = 16;
const FILE_KEY_BYTES = 16;
/** The body of a stanza is wrapped at so many. */
const COLUMNS = 64;
/** Room for some 500 recipients. */
export const LONGEST_HEADER = 64 * 1024;

/**
 * Makes the header of an age v1 file, the nonce of its payload behind it, and the key of the payload.
 * @throws Problem when a recipient is not valid
 */
export async function makeHeader(
  encryption: Encryption,
): Promise<{ header: Buffer; payloadKey: Buffer }> {
  const fileKey = randomBytes(FILE_KEY_BYTES);
  const stanzas =
    "recipients" in encryption
      ? encryption.recipients.map((text) => wrapForRecipient(fileKey, parseRecipient(text)))
      : [await wrapForPassphrase(fileKey, encryption.passphrase)];
  const macInput = Buffer.from(`${[VERSION_LINE, ...stanzas.map(formatStanza)].join("\n")}\n---`);
  const nonce = randomBytes(NONCE_BYTES);
  const mac = unpadded(macOf(fileKey, macInput));
  return {
    header: Buffer.concat([macInput, Buffer.from(` ${mac}\n`), nonce]),
    payloadKey: derivePayloadKey(fileKey, nonce),
  };
}

/**
 * Reads the header of an age v1 file.
 * @param start the file's first bytes, at most `LONGEST_HEADER` of them count
 * @returns undefined while more bytes are needed
 * @throws Problem when it is no such file
 */
export function parseHeader(start: Buffer): Header | undefined {
  const text = start.subarray(0, LONGEST_HEADER).toString("latin1");
  const broken = () =>
    new Problem(
      "its header is not that of an age file: the object is damaged, or not a backup of this tool.",
    );
  if (!text.startsWith(`${VERSION_LINE}\n`.slice(0, text.length))) throw broken();
  const end = /\n--- ([A-Za-z0-9+/]{43})\n/.exec(text);
  if (end === null || start.length < end.index + end[0].length + NONCE_BYTES) {
    if (start.length >= LONGEST_HEADER) throw broken();
    return undefined;
  }
  const stanzas = parseStanzas(text.slice(VERSION_LINE.length + 1, end.index));
  if (stanzas === undefined) throw broken();
  const bytes = end.index + end[0].length + NONCE_BYTES;
  // Base64 has one spelling in an age file. The MAC covers what stands before it, but not its own.
  if (unpadded(Buffer.from(end[1] ?? "", "base64")) !== end[1]) throw broken();
  return {
    stanzas,
    bytes,
    macInput: start.subarray(0, end.index + "\n---".length),
    mac: Buffer.from(end[1] ?? "", "base64"),
    nonce: start.subarray(bytes - NONCE_BYTES, bytes),
  };
}

/** Whether a passphrase opens it; else recipients' private keys do. */
export function needsPassphrase({ stanzas }: Header): boolean {
  return stanzas.some(({ args }) => args[0] === "scrypt");
}

/**
 * Opens the header.
 * @returns the key of the payload
 * @throws Problem that names the secret which is missing or wrong
 */
export async function unlock(header: Header, secrets: AgeSecrets): Promise<Buffer> {
  const fileKey = needsPassphrase(header)
    ? await unwrapByPassphrase(header.stanzas, secrets.passphrase)
    : unwrapByIdentity(header.stanzas, secrets.identities);
  if (!timingSafeEqual(macOf(fileKey, header.macInput), header.mac)) {
    throw new Problem("its header was changed after it was written: the object is damaged.");
  }
  return derivePayloadKey(fileKey, header.nonce);
}

/** `HKDF-SHA-256(ikm = file key, salt = nonce, info = "payload")`. */
function derivePayloadKey(fileKey: Buffer, nonce: Buffer): Buffer {
  return derive(fileKey, nonce, "payload");
}

/** HMAC-SHA-256 with the key `HKDF-SHA-256(ikm = file key, salt = empty, info = "header")`. */
function macOf(fileKey: Buffer, macInput: Buffer): Buffer {
  return createHmac("sha256", derive(fileKey, Buffer.alloc(0), "header"))
    .update(macInput)
    .digest();
}

function formatStanza({ args, body }: Stanza): string {
  // By the specification the body ends with a line shorter than 64 characters, which may be empty.
  const text = unpadded(body);
  const lines = Array.from({ length: Math.floor(text.length / COLUMNS) + 1 }, (_, i) =>
    text.slice(i * COLUMNS, (i + 1) * COLUMNS),
  );
  return `-> ${args.join(" ")}\n${lines.join("\n")}`;
}

function parseStanzas(text: string): Stanza[] | undefined {
  const lines = text.split("\n");
  const stanzas: Stanza[] = [];
  for (let at = 0; at < lines.length; ) {
    const [arrow, ...args] = (lines[at] ?? "").split(" ");
    if (arrow !== "->" || args.length === 0 || args.some((arg) => !/^[!-~]+$/.test(arg))) {
      return undefined;
    }
    let body = "";
    let line: string;
    do {
      at += 1;
      line = lines[at] ?? "-";
      if (!/^[A-Za-z0-9+/]{0,64}$/.test(line)) return undefined;
      body += line;
    } while (line.length === COLUMNS);
    at += 1;
    stanzas.push({ args, body: Buffer.from(body, "base64") });
  }
  return stanzas.length === 0 ? undefined : stanzas;
}
