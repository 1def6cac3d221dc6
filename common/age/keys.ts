import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from "node:crypto";
import { Problem } from "../problem.ts";
import { decodeBech32, encodeBech32 } from "./bech32.ts";

const KEY_BYTES = 32;
/** What stands before the 32 bytes of an X25519 private key in PKCS #8: RFC 8410, section 7. */
const PKCS8_PREFIX = Buffer.from("302e020100300506032b656e04220420", "hex");

/**
 * Reads the public key of a recipient.
 * @param text `age1...` as `age-keygen` prints it
 * @returns the X25519 public key, 32 bytes
 * @throws Problem when it is none; a private key given by mistake is not repeated in the text
 */
export function parseRecipient(text: string): Buffer {
  if (/^age-secret-key-/i.test(text)) {
    throw new Problem(
      "an age recipient is the public key (age1...), and the private one was given. Treat that one as leaked: make a new pair with age-keygen.",
    );
  }
  if (/^age1[a-z0-9]+1/.test(text) || /^ssh-/.test(text)) {
    throw new Problem(
      `"${text}" is a recipient of another kind (a plugin's or an SSH key). Only X25519 recipients of age are known here: make one with age-keygen.`,
    );
  }
  const decoded = decodeBech32(text);
  if (decoded?.prefix !== "age" || decoded.bytes.length !== KEY_BYTES || text !== text.trim()) {
    throw new Problem(
      `"${text}" is no age recipient. Give the public key that age-keygen prints, age1 and 58 more characters; a changed or missing character is noticed.`,
    );
  }
  return decoded.bytes;
}

/**
 * Reads a private key.
 * @param text `AGE-SECRET-KEY-1...`
 * @returns the X25519 private key, 32 bytes
 * @throws Problem when it is none; never repeats it
 */
export function parseIdentity(text: string): Buffer {
  const decoded = decodeBech32(text);
  if (decoded?.prefix !== "age-secret-key-" || decoded.bytes.length !== KEY_BYTES) {
    throw new Problem(
      "the age identity is not valid. Give the line that begins with AGE-SECRET-KEY-1 of the file that age-keygen wrote.",
    );
  }
  return decoded.bytes;
}

/** A private key for `node:crypto`. */
export function privateKeyOf(identity: Buffer): KeyObject {
  const key = Buffer.concat([PKCS8_PREFIX, identity]);
  return createPrivateKey({ key, format: "der", type: "pkcs8" });
}

/** The recipient that belongs to a private key, 32 bytes. */
export function publicKeyOf(identity: Buffer): Buffer {
  const key = createPublicKey(privateKeyOf(identity));
  return key.export({ format: "der", type: "spki" }).subarray(-KEY_BYTES);
}

/** A public key as text. */
export function formatRecipient(publicKey: Buffer): string {
  return encodeBech32("age", publicKey);
}

/** Makes a private key. @returns `AGE-SECRET-KEY-1...`, as `age-keygen` writes it */
export function generateIdentity(): string {
  const { privateKey } = generateKeyPairSync("x25519");
  const bytes = privateKey.export({ format: "der", type: "pkcs8" }).subarray(-KEY_BYTES);
  return encodeBech32("age-secret-key-", bytes).toUpperCase();
}
