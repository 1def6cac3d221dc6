import { constants, createZstdCompress } from "node:zlib";
import type { Encryption } from "../../common/age/header.ts";
import { messageOf, Problem } from "../../common/problem.ts";
import { explain, isTaken } from "../../storage/s3/errors.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { leastQueue, smallestPart } from "../../storage/upload/partSize.ts";
import { retriedWhenDamaged } from "../../storage/upload/retry.ts";
import { uploadStream } from "../../storage/upload/upload.ts";
import { checkWrite } from "../../storage/upload/writeCheck.ts";
import { beginHeader, encryptedWith } from "../streams/encrypt.ts";

/** Level of zstd: WAL shrinks to a fifth by it, and more of it would cost more of the processor than it saves of the bucket. */
const LEVEL = 1;
/** What zstd gives out at once: of Node's own 16 KiB a segment would be hundreds of pieces. */
const OUTPUT_BYTES = 128 * 1024;
const CONTENT_TYPE = "application/octet-stream";

/** The bytes as zstd. What is yielded is the reader's to keep; a chunk of the source is done with before the next one is asked for. */
export async function* compressed(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const zstd = createZstdCompress({
    chunkSize: OUTPUT_BYTES,
    params: {
      [constants.ZSTD_c_compressionLevel]: LEVEL,
      [constants.ZSTD_c_checksumFlag]: 1,
    },
  });
  const feeding = (async () => {
    for await (const chunk of source) {
      await new Promise<void>((resolve, reject) => {
        zstd.write(chunk, (error) => (error ? reject(error) : resolve()));
      });
    }
    zstd.end();
  })();
  feeding.catch((error: unknown) => {
    zstd.destroy(error instanceof Error ? error : new Error(messageOf(error)));
  });
  yield* zstd as AsyncIterable<Buffer>;
  await feeding;
}

/** The bytes as they are stored: compressed, then encrypted where the settings encrypt. */
export function sealed(
  source: AsyncIterable<Buffer>,
  encryption: Encryption | undefined,
): AsyncIterable<Buffer> {
  return encryptedWith(compressed(source), beginHeader(encryption));
}

/** Stores sealed streams under names that stand for their content, with the memory of three parts of 5 MiB at most. */
export class SealedStore {
  readonly #store: ObjectStore;
  readonly #encryption: Encryption | undefined;
  readonly #start = Buffer.allocUnsafeSlow(smallestPart);
  /** False once the service has said that the key may not look. */
  #mayLook = true;

  constructor(store: ObjectStore, encryption: Encryption | undefined) {
    this.#store = store;
    this.#encryption = encryption;
  }

  /**
   * Stores a stream; one that is there already stays as it is, since its name says what it holds.
   * @param look see whether the bucket holds it, where the key may: what is acknowledged then is not needed here any more
   * @throws Problem when it is not known to be there
   */
  async put(
    key: string,
    source: AsyncIterable<Buffer>,
    { look }: { readonly look: boolean },
  ): Promise<void> {
    const stream = sealed(source, this.#encryption)[Symbol.asyncIterator]();
    const start = this.#start;
    let filled = 0;
    let rest: Buffer | undefined;
    for (;;) {
      const next = await stream.next();
      if (next.done === true) break;
      const copied = next.value.copy(start, filled);
      filled += copied;
      if (copied === next.value.length) continue;
      rest = Buffer.from(next.value.subarray(copied));
      break;
    }
    try {
      if (rest === undefined) await this.#putWhole(key, start.subarray(0, filled), look);
      else await this.#putParts(key, joined(start, rest, stream));
    } catch (error) {
      if (isTaken(error) || (error instanceof Problem && isTaken(error.cause))) return;
      throw explain(error, this.#store.address, `write ${key}`);
    }
  }

  async #putWhole(key: string, bytes: Buffer, look: boolean): Promise<void> {
    await retriedWhenDamaged(() => this.#store.putNew(key, bytes, CONTENT_TYPE));
    if (!look || !this.#mayLook) return;
    const isOurs = async () => (await this.#store.head(key)).bytes === bytes.length;
    const seen = await checkWrite(isOurs, { expected: true });
    if (seen.found === "denied") this.#mayLook = false;
    if (seen.found === "ours" || seen.found === "denied") return;
    if (seen.found === "unknown") throw explain(seen.cause, this.#store.address, `look at ${key}`);
    throw new Problem(`the service acknowledged ${key}, but does not hold it.`);
  }

  async #putParts(key: string, source: AsyncIterable<Buffer>): Promise<void> {
    await uploadStream(this.#store, key, source, {
      partBytes: smallestPart,
      queue: leastQueue,
      beforeComplete: async () => {},
    });
  }
}

async function* joined(start: Buffer, rest: Buffer, stream: AsyncIterator<Buffer>) {
  yield start;
  yield rest;
  for (let next = await stream.next(); next.done !== true; next = await stream.next()) {
    yield next.value;
  }
}
