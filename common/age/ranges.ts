import { createSecretKey, type KeyObject } from "node:crypto";
import { CHUNK, decryptChunk, ENCRYPTED_CHUNK, Nonce, plainBytesOf } from "./stream.ts";

/** Bytes of an object, `to` excluded. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/**
 * Reads parts of an age v1 file whose header has been unlocked. Each chunk is authenticated at its place, so a part that was
 * changed, moved or taken from elsewhere is found. That the object is whole shows its last chunk alone, which has a mark of its own.
 */
export class AgeRanges {
  /** Length of what is encrypted. */
  readonly plainBytes: number;
  readonly #bytes: number;
  readonly #headerBytes: number;
  readonly #key: KeyObject;

  /**
   * @param bytes size of the object
   * @param headerBytes length of the header, the nonce included
   * @param payloadKey of `unlock`
   * @throws DamagedObject when its length fits no whole age file
   */
  constructor(bytes: number, headerBytes: number, payloadKey: Buffer) {
    this.plainBytes = plainBytesOf(headerBytes, bytes);
    this.#bytes = bytes;
    this.#headerBytes = headerBytes;
    this.#key = createSecretKey(payloadKey);
  }

  /** The plain bytes of the last chunk. */
  get lastChunk(): ByteRange {
    const from = Math.max(0, Math.ceil(this.plainBytes / CHUNK) - 1) * CHUNK;
    return { from, to: this.plainBytes };
  }

  /** Bytes of the object in which these plain ones lie: whole chunks. */
  stored({ from, to }: ByteRange): ByteRange {
    const first = Math.floor(from / CHUNK);
    const last = Math.floor(Math.max(from, to - 1) / CHUNK);
    const at = (chunk: number) => this.#headerBytes + chunk * ENCRYPTED_CHUNK;
    return { from: at(first), to: Math.min(at(last + 1), this.#bytes) };
  }

  /**
   * Decrypts what was read of the object, and gives the plain bytes out chunk by chunk.
   * @param bytes those of `stored` for the same range
   * @throws DamagedObject when a chunk is not what was written there
   */
  *decrypt(bytes: Buffer, { from, to }: ByteRange): Generator<Buffer> {
    const first = Math.floor(from / CHUNK);
    const nonce = new Nonce(first);
    for (let at = 0; at < bytes.length; at += ENCRYPTED_CHUNK) {
      const chunk = nonce.count;
      const isLast = (chunk + 1) * CHUNK >= this.plainBytes;
      const plain = decryptChunk(
        bytes.subarray(at, at + ENCRYPTED_CHUNK),
        this.#key,
        nonce,
        isLast,
      );
      const start = chunk * CHUNK;
      yield plain.subarray(Math.max(0, from - start), Math.max(0, to - start));
    }
  }
}
