import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createZstdDecompress } from "node:zlib";
import { LONGEST_HEADER, parseHeader, unlock } from "../../common/age/header.ts";
import type { AgeSecrets } from "../../common/age/stanzas.ts";
import { decryptStream } from "../../common/age/stream.ts";
import type { Chain } from "../../common/contracts/pointInTime.ts";
import { messageOf, Problem } from "../../common/problem.ts";
import { openObject } from "../../storage/s3/download.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";

/** How the objects of a chain are read. */
export interface Unsealing {
  readonly store: ObjectStore;
  readonly encryption: Chain["encryption"];
  readonly secrets: AgeSecrets;
  readonly signal: AbortSignal;
}

/**
 * What was stored under a key, decrypted and decompressed, as it comes.
 * @param onStored called with each piece as it is stored
 * @throws Problem when it cannot be read, is damaged, or no secret opens it
 */
export async function* unsealed(
  { store, encryption, secrets, signal }: Unsealing,
  key: string,
  onStored: (piece: Buffer) => void = () => {},
): AsyncGenerator<Buffer> {
  const { stream } = await openObject(store, key);
  const stored = counted(stream, onStored);
  const source = encryption === "age" ? decrypted(stored, secrets) : stored;
  const zstd = createZstdDecompress();
  const feeding = pipeline(Readable.from(source), zstd, { signal });
  // It ends the reading below too.
  feeding.catch(() => {});
  try {
    yield* zstd as AsyncIterable<Buffer>;
    await feeding;
  } catch (error) {
    signal.throwIfAborted();
    const why = error instanceof Problem ? error.message : `it is damaged (${messageOf(error)}).`;
    throw new Problem(`${key} cannot be read: ${why}`, { cause: error });
  } finally {
    stream.destroy();
  }
}

async function* counted(source: Readable, onStored: (piece: Buffer) => void) {
  for await (const piece of source as AsyncIterable<Buffer>) {
    onStored(piece);
    yield piece;
  }
}

/** The header comes first, and needs no request of its own. */
async function* decrypted(
  source: AsyncIterable<Buffer>,
  secrets: AgeSecrets,
): AsyncGenerator<Buffer> {
  const iterator = source[Symbol.asyncIterator]();
  let start = Buffer.alloc(0);
  let header: ReturnType<typeof parseHeader>;
  while (header === undefined) {
    const { done, value } = await iterator.next();
    if (done === true) throw new Problem("it is cut off within its header.");
    start = Buffer.concat([start, value]);
    header = parseHeader(start.subarray(0, LONGEST_HEADER));
  }
  const payload = await unlock(header, secrets);
  yield* decryptStream(startingWith(start, iterator), header.bytes, payload);
}

async function* startingWith(start: Buffer, rest: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield start;
  for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
    yield next.value;
  }
}
