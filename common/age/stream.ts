import { createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from "node:crypto";
import { BadBackup } from "../problem.ts";
import { release } from "../releaseBuffer.ts";
import { parseHeader } from "./header.ts";

// The payload of an age v1 file, by the specification https://c2sp.org/age, section "Payload": chunks of 64 KiB, each
// encrypted with ChaCha20-Poly1305 (RFC 8439), a variant of the STREAM construction (https://eprint.iacr.org/2015/189).

/** Plain bytes in each chunk; the last may have fewer. */
export const CHUNK = 64 * 1024;
const TAG = 16;
export const ENCRYPTED_CHUNK = CHUNK + TAG;

/**
 * Encrypts a stream into an age v1 file.
 *
 * What is yielded is valid only until the next one is asked for: its memory is given back at once.
 * @param header of `makeHeader`
 * @param payloadKey of `makeHeader`
 */
export async function* encryptStream(
  source: AsyncIterable<Buffer>,
  header: Buffer,
  payloadKey: Buffer,
): AsyncGenerator<Buffer> {
  yield header;
  const key = createSecretKey(payloadKey);
  const chunk = Buffer.allocUnsafeSlow(CHUNK);
  const nonce = new Nonce();
  let filled = 0;
  for await (const piece of source) {
    for (let at = 0; at < piece.length; ) {
      // A full chunk is held back until there is more: only then is it known not to be the last.
      if (filled === CHUNK) {
        yield* encryptChunk(chunk, key, nonce.next(false));
        filled = 0;
      }
      const copied = piece.copy(chunk, filled, at);
      filled += copied;
      at += copied;
    }
  }
  yield* encryptChunk(chunk.subarray(0, filled), key, nonce.next(true));
}

function* encryptChunk(plain: Buffer, key: KeyObject, nonce: Buffer): Generator<Buffer> {
  const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: TAG });
  const encrypted = cipher.update(plain);
  cipher.final();
  yield encrypted;
  // Node gives each output a buffer of its own and cannot write into a given one.
  release(encrypted);
  yield cipher.getAuthTag();
}

/**
 * Decrypts an age v1 file whose header has been unlocked. A chunk is given out only after its tag was checked.
 * @param source the whole object, its header included
 * @param headerBytes length of the header, the nonce included
 * @param payloadKey of `unlock`
 * @throws Problem when a chunk was changed, or the object ends before its last one
 */
export async function* decryptStream(
  source: AsyncIterable<Buffer>,
  headerBytes: number,
  payloadKey: Buffer,
): AsyncGenerator<Buffer> {
  const key = createSecretKey(payloadKey);
  const chunk = Buffer.allocUnsafeSlow(ENCRYPTED_CHUNK);
  const nonce = new Nonce();
  let toSkip = headerBytes;
  let filled = 0;
  for await (const piece of source) {
    const skipped = Math.min(toSkip, piece.length);
    toSkip -= skipped;
    for (let at = skipped; at < piece.length; ) {
      if (filled === ENCRYPTED_CHUNK) {
        yield decryptChunk(chunk, key, nonce, false);
        filled = 0;
      }
      const copied = piece.copy(chunk, filled, at);
      filled += copied;
      at += copied;
    }
  }
  // By the specification only an empty file has an empty last chunk; elsewhere it would hide that something was cut off.
  if (filled < TAG || (filled === TAG && nonce.count > 0)) throw damaged(nonce.count, "is cut off");
  yield decryptChunk(chunk.subarray(0, filled), key, nonce, true);
}

/** @throws DamagedObject when it is not the chunk of this number, or not the last one although it is to be */
export function decryptChunk(
  encrypted: Buffer,
  key: KeyObject,
  nonce: Nonce,
  last: boolean,
): Buffer {
  const number = nonce.count;
  const decipher = createDecipheriv("chacha20-poly1305", key, nonce.next(last), {
    authTagLength: TAG,
  });
  decipher.setAuthTag(encrypted.subarray(encrypted.length - TAG));
  const plain = decipher.update(encrypted.subarray(0, encrypted.length - TAG));
  try {
    decipher.final();
  } catch {
    // OpenSSL reports only that the tag does not fit; cut and changed look the same at the end.
    throw damaged(number, last ? "was changed, or the object is cut off there" : "was changed");
  }
  return plain;
}

/** A changed or cut object, seen while it is decrypted. */
export class DamagedObject extends BadBackup {}

function damaged(number: number, what: string): DamagedObject {
  return new DamagedObject(
    `the encrypted object is damaged: its 64 KiB chunk number ${number + 1} ${what}.`,
  );
}

/** The specification's nonce: eleven bytes that count the chunks, big endian from zero, and one that is 1 for the last. */
export class Nonce {
  readonly #bytes = Buffer.alloc(12);
  count: number;

  /** @param count chunks before the next one @default 0 */
  constructor(count = 0) {
    this.count = count;
  }

  next(last: boolean): Buffer {
    this.#bytes.writeUIntBE(this.count, 5, 6);
    this.#bytes[11] = last ? 1 : 0;
    this.count += 1;
    return this.#bytes;
  }
}

/**
 * Plain bytes in an encrypted object of this size.
 * @throws DamagedObject when its length fits no whole age file
 */
export function plainBytesOf(headerBytes: number, bytes: number): number {
  const rest = (bytes - headerBytes) % ENCRYPTED_CHUNK;
  const chunks = Math.floor((bytes - headerBytes) / ENCRYPTED_CHUNK);
  const whole = rest === 0 ? chunks > 0 : rest > TAG || (rest === TAG && chunks === 0);
  if (bytes < headerBytes || !whole) {
    throw new DamagedObject("the encrypted object is cut off: its length fits no whole age file.");
  }
  return chunks * CHUNK + (rest === 0 ? 0 : rest - TAG);
}

/**
 * Checks what can be checked of an encrypted object without its key: that it begins with an age header and is as long as
 * one with whole chunks can be.
 * @param start the object's first bytes
 * @param bytes its size
 * @returns number of recipients that can open it
 * @throws Problem when it is no such object
 */
export function checkFraming(start: Buffer, bytes: number): number {
  const header = parseHeader(start);
  if (header === undefined)
    throw new DamagedObject("the encrypted object is cut off within its header.");
  plainBytesOf(header.bytes, bytes);
  return header.stanzas.length;
}
