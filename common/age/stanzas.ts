import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
  scrypt,
} from "node:crypto";
import { promisify } from "node:util";
import { Problem } from "../problem.ts";
import { privateKeyOf, publicKeyOf } from "./keys.ts";

// Recipient stanzas of an age v1 file, by the specification https://c2sp.org/age, sections "The X25519 recipient type" and
// "The scrypt recipient type": X25519 is RFC 7748, HKDF RFC 5869, scrypt RFC 7914, ChaCha20-Poly1305 RFC 8439.

/** What may open an encrypted backup. */
export interface AgeSecrets {
  readonly passphrase?: string;
  /** X25519 private keys, 32 bytes each. */
  readonly identities: readonly Buffer[];
}

/** The file key, wrapped for one recipient. */
export interface Stanza {
  readonly args: readonly string[];
  readonly body: Buffer;
}

const LABEL = "age-encryption.org/v1";
const FILE_KEY_BYTES = 16;
const TAG_BYTES = 16;
/**
 * Cost of guessing a passphrase: the base-two logarithm of scrypt's N. `age -p` takes 18 (scrypt.go of age 1.2), which
 * needs 256 MiB at once: the whole container. 15 needs 32 MiB, less than the part buffers that come after it; what is lost,
 * one more random letter in the passphrase makes up for. Every age reads both.
 */
const WORK_FACTOR = 15;
/** The largest that is read: 20 needs 1 GiB. age itself stops at 22. */
const LARGEST_WORK_FACTOR = 20;
/** What stands before the 32 bytes of an X25519 public key as a SubjectPublicKeyInfo: RFC 8410, section 4. */
const SPKI_PREFIX = Buffer.from("302a300506032b656e032100", "hex");

/**
 * Wraps the file key for one recipient.
 * @throws Problem for a public key of low order, whose shared secret everyone knows
 */
export function wrapForRecipient(fileKey: Buffer, recipient: Buffer): Stanza {
  const pair = generateKeyPairSync("x25519");
  const share = pair.publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  const secret = sharedSecret(pair.privateKey, recipient);
  if (secret === undefined) {
    throw new Problem(
      "an age recipient is a point of low order, which everyone could decrypt. Make a new pair with age-keygen.",
    );
  }
  const body = encryptFileKey(recipientKey(secret, share, recipient), fileKey);
  return { args: ["X25519", unpadded(share)], body };
}

/** Wraps the file key with a passphrase. */
export async function wrapForPassphrase(fileKey: Buffer, passphrase: string): Promise<Stanza> {
  const salt = randomBytes(16);
  const key = await passphraseKey(passphrase, salt, WORK_FACTOR);
  return {
    args: ["scrypt", unpadded(salt), String(WORK_FACTOR)],
    body: encryptFileKey(key, fileKey),
  };
}

/**
 * Finds the file key by a passphrase.
 * @throws Problem when none is set, it is wrong, or its work factor is out of bounds
 */
export async function unwrapByPassphrase(
  stanzas: readonly Stanza[],
  passphrase: string | undefined,
): Promise<Buffer> {
  const [stanza] = stanzas;
  const [, salt = "", factor = ""] = stanza?.args ?? [];
  // By the specification a scrypt stanza stands alone, so that nobody else can have slipped in a key of their own.
  if (stanza === undefined || stanzas.length !== 1 || !/^[1-9]\d?$/.test(factor)) {
    throw new Problem("its header mixes a passphrase with something else: the object is damaged.");
  }
  if (passphrase === undefined || passphrase === "") {
    throw new Problem(
      "it is encrypted with a passphrase, and none is set. Set PASSPHRASE to the one that it was made with.",
    );
  }
  requireAffordable(Number(factor));
  const key = await passphraseKey(passphrase, Buffer.from(salt, "base64"), Number(factor));
  const fileKey = decryptFileKey(key, stanza.body);
  if (fileKey !== undefined) return fileKey;
  throw new Problem(
    "the passphrase is wrong: PASSPHRASE is not the one that it was made with. Set that one; a passphrase changed since does not open older backups.",
  );
}

/** Refused beforehand: a program that is killed for lack of memory cannot explain itself. */
function requireAffordable(factor: number): void {
  const needed = scryptMemory(factor);
  const limit = process.constrainedMemory();
  const affordable = limit > 0 && limit < Number.MAX_SAFE_INTEGER ? limit * 0.6 : needed;
  if (factor <= LARGEST_WORK_FACTOR && needed <= affordable) return;
  throw new Problem(
    `its passphrase has work factor ${factor}, which needs ${Math.ceil(needed / 2 ** 20)} MiB of memory at once; up to factor ${LARGEST_WORK_FACTOR} is tried here, if the container's limit leaves room for it. Decrypt it with age elsewhere.`,
  );
}

/**
 * Finds the file key by a recipient's private key.
 * @throws Problem when none is given, or none fits
 */
export function unwrapByIdentity(
  stanzas: readonly Stanza[],
  identities: readonly Buffer[],
): Buffer {
  if (identities.length === 0) {
    throw new Problem(
      "it is encrypted for an age recipient, and no identity is given. Give the private key: --identity FILE on the command line, --identity-stdin or AGE_IDENTITY_FILE in the container.",
    );
  }
  for (const identity of identities) {
    const own = publicKeyOf(identity);
    for (const { args, body } of stanzas) {
      const share = Buffer.from(args[1] ?? "", "base64");
      if (args[0] !== "X25519" || share.length !== own.length) continue;
      const secret = sharedSecret(privateKeyOf(identity), share);
      const fileKey = secret && decryptFileKey(recipientKey(secret, share, own), body);
      if (fileKey !== undefined) return fileKey;
    }
  }
  throw new Problem(
    "the identity is the wrong one: it belongs to none of the recipients that the backup was made for. Use the private key of a recipient in its manifest.",
  );
}

/** X25519; undefined where the other side's key is of low order, which OpenSSL refuses, as the specification demands. */
function sharedSecret(own: KeyObject, other: Buffer): Buffer | undefined {
  const publicKey = createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, other]),
    format: "der",
    type: "spki",
  });
  try {
    return diffieHellman({ privateKey: own, publicKey });
  } catch {
    return undefined;
  }
}

/** The key that wraps the file key: the salt is `ephemeral share || recipient`. */
function recipientKey(secret: Buffer, share: Buffer, recipient: Buffer): Buffer {
  return derive(secret, Buffer.concat([share, recipient]), `${LABEL}/X25519`);
}

const scryptAsync = promisify<
  string,
  Buffer,
  number,
  { N: number; r: number; p: number; maxmem: number },
  Buffer
>(scrypt);
/** Of N = 2^factor and r = 8, RFC 7914. */
const scryptMemory = (factor: number) => 128 * 8 * 2 ** factor;

function passphraseKey(passphrase: string, salt: Buffer, factor: number): Promise<Buffer> {
  const labelled = Buffer.concat([Buffer.from(`${LABEL}/scrypt`), salt]);
  const cost = { N: 2 ** factor, r: 8, p: 1, maxmem: scryptMemory(factor) + 2 ** 20 };
  return scryptAsync(passphrase, labelled, 32, cost);
}

/** HKDF-SHA-256 with 32 bytes of output, by which age derives every key but that of a passphrase. */
export function derive(secret: Buffer, salt: Buffer, info: string): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, salt, info, 32));
}

/** Each such key is used once, so the specification fixes its nonce as twelve zero bytes. */
function encryptFileKey(key: Buffer, fileKey: Buffer): Buffer {
  const cipher = createCipheriv("chacha20-poly1305", key, Buffer.alloc(12), {
    authTagLength: TAG_BYTES,
  });
  return Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]);
}

function decryptFileKey(key: Buffer, body: Buffer): Buffer | undefined {
  if (body.length !== FILE_KEY_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv("chacha20-poly1305", key, Buffer.alloc(12), {
    authTagLength: TAG_BYTES,
  });
  decipher.setAuthTag(body.subarray(FILE_KEY_BYTES));
  const fileKey = decipher.update(body.subarray(0, FILE_KEY_BYTES));
  try {
    decipher.final();
    return fileKey;
  } catch {
    // The tag does not fit: another key.
    return undefined;
  }
}

/** Base64 without padding, as the specification writes it. */
export function unpadded(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}
