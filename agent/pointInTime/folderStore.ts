import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import type { StoreAddress } from "../../storage/address/address.ts";
import type {
  ListedObject,
  ObjectBody,
  ObjectHead,
  ObjectStore,
  ObjectUpload,
  ObjectVersion,
  StoredPart,
} from "../../storage/s3/objectStore.ts";

/**
 * Objects as files below a folder: the way of a recovered database's dump into the live server, by the very code that takes and
 * restores backups. One process alone uses it, once.
 */
export class FolderStore implements ObjectStore {
  readonly address: StoreAddress;
  readonly #folder: string;
  /** What the uploads were begun with, by their keys. */
  readonly #metadata = new Map<string, ObjectHead["metadata"]>();

  /** @param address of the bucket, whose prefix the names have */
  constructor(folder: string, address: StoreAddress) {
    this.#folder = folder;
    this.address = address;
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    await mkdir(this.#folder, { recursive: true });
    const entries = await readdir(this.#folder, { recursive: true, withFileTypes: true });
    const keys = entries
      .filter((entry) => entry.isFile())
      .map((entry) => relative(this.#folder, join(entry.parentPath, entry.name)))
      .filter((key) => key.startsWith(prefix) && !key.endsWith(PART))
      .toSorted();
    for (const key of keys) {
      const { size, mtime } = await stat(this.#path(key));
      yield { key, bytes: size, storedAt: mtime.toISOString() };
    }
  }

  async head(key: string): Promise<ObjectHead> {
    const { size } = await stat(this.#path(key)).catch(missing);
    return { bytes: size, metadata: this.#metadata.get(key) ?? {} };
  }

  async *versions(key: string): AsyncGenerator<ObjectVersion> {
    for await (const { bytes, storedAt, ...found } of this.list(key)) {
      if (found.key === key) yield { id: "null", bytes, storedAt };
    }
  }

  get(key: string): Promise<ObjectBody> {
    return this.getRange(key, { from: 0 });
  }

  async getRange(
    key: string,
    { from, to }: { readonly from: number; readonly to?: number },
  ): Promise<ObjectBody> {
    const { size, mtimeMs } = await stat(this.#path(key)).catch(missing);
    const end = Math.min(to ?? size - 1, size - 1);
    const stream = createReadStream(this.#path(key), { start: from, end });
    return { stream, bytes: end - from + 1, etag: `${size}-${mtimeMs}`, start: from };
  }

  async putNew(key: string, bytes: Buffer): Promise<void> {
    await mkdir(dirname(this.#path(key)), { recursive: true });
    await writeFile(this.#path(key), bytes, { flag: "wx" });
  }

  async startUpload(key: string, metadata: ObjectHead["metadata"] = {}): Promise<ObjectUpload> {
    this.#metadata.set(key, metadata);
    const path = this.#path(key);
    await mkdir(dirname(path), { recursive: true });
    const partOf = (number: number) => `${path}.${number}${PART}`;
    const sent = new Set<number>();
    return {
      sendPart: async (number: number, bytes: Buffer): Promise<StoredPart> => {
        await writeFile(partOf(number), bytes);
        sent.add(number);
        return { number, etag: createHash("md5").update(bytes).digest("hex") };
      },
      complete: async (parts: readonly StoredPart[]) => {
        for (const { number } of parts) {
          await pipeline(createReadStream(partOf(number)), createWriteStream(path, { flags: "a" }));
          await rm(partOf(number));
        }
      },
      abort: async () => {
        for (const number of sent) await rm(partOf(number), { force: true });
        sent.clear();
      },
      countParts: async () => sent.size,
    };
  }

  async *listUploads(): AsyncGenerator<never> {}

  async abortUpload(): Promise<void> {}

  serviceTime(): Date {
    return new Date();
  }

  async delete(key: string): Promise<void> {
    await rm(this.#path(key), { force: true });
  }

  #path(key: string): string {
    return join(this.#folder, key);
  }
}

const PART = ".part";

/** Answers a file that is not there as the service does an object. */
function missing(error: NodeJS.ErrnoException): never {
  if (error.code !== "ENOENT") throw error;
  const answer = new Error("NoSuchKey", { cause: error });
  throw Object.assign(answer, { name: "NoSuchKey", $metadata: { httpStatusCode: 404 } });
}
