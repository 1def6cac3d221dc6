import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { parseAddress, type StoreAddress } from "../../storage/address/address.ts";
import type { Provider } from "../../storage/address/providers.ts";
import type {
  ListedObject,
  ObjectBody,
  ObjectHead,
  ObjectStore,
  ObjectUpload,
  ObjectVersion,
  StoredPart,
  UnfinishedUpload,
} from "../../storage/s3/objectStore.ts";

/** The smallest part that S3 takes, the last one excepted. */
const SMALLEST_PART = 5 * 1024 * 1024;

type Operation = "list" | "versions" | "head" | "get" | "put" | "upload" | "delete";

interface MemoryObject {
  readonly bytes: Buffer;
  readonly storedAt: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * A bucket in memory, for the rules that stand above it. What it answers is what `objectStore.contract.test.ts` finds a
 * real service to answer, errors included.
 */
export class MemoryStore implements ObjectStore {
  readonly address: StoreAddress;
  /** `put backup/x`: what was asked, in its order, with the key or the prefix. */
  readonly requests: string[] = [];
  readonly #objects = new Map<string, MemoryObject>();
  readonly #uploads = new Set<MemoryUpload>();
  readonly #failures = new Map<Operation, (key: string) => Error | undefined>();

  /** @param where `provider` changes single traits of the service */
  constructor(
    where: {
      readonly bucket?: string;
      readonly prefix?: string;
      readonly provider?: Partial<Provider>;
    } = {},
  ) {
    const { bucket = "memory", prefix = "backup", provider } = where;
    const endpoint = "http://localhost:1";
    const address = parseAddress({ endpoint, region: "us-east-1", bucket, prefix });
    this.address = { ...address, provider: { ...address.provider, ...provider } };
  }

  /** Every key, sorted. */
  get keys(): string[] {
    return [...this.#objects.keys()].sort(byBytes);
  }

  /** Keys of the uploads that were begun and neither completed nor dropped. */
  get unfinished(): string[] {
    return [...this.#uploads].map(({ key }) => key);
  }

  /** From now on a list has no end: whoever may write can put any number of objects there. @param keyOf the n-th of them, all in one folder */
  crowd(keyOf: (n: number) => string): this {
    const storedAt = new Date().toISOString();
    const first = keyOf(0);
    this.list = async function* (prefix) {
      if (!first.startsWith(prefix)) return;
      for (let n = 0; ; n += 1) yield { key: keyOf(n), bytes: n, storedAt };
    };
    return this;
  }

  /** Stores an object whether or not the key exists, as a program of others does. */
  set(
    key: string,
    body: string | Buffer = "x",
    metadata: Readonly<Record<string, string>> = {},
  ): void {
    const storedAt = new Date().toISOString();
    this.#objects.set(key, { bytes: Buffer.from(body), storedAt, metadata });
  }

  /** The content of an object as text; undefined: there is none. */
  text(key: string): string | undefined {
    return this.#objects.get(key)?.bytes.toString("utf8");
  }

  /** From now on requests of a kind fail with this error, or where it is a function, with what that returns. */
  fail(operation: Operation, error: Error | ((key: string) => Error | undefined)): this {
    this.#failures.set(operation, typeof error === "function" ? error : () => error);
    return this;
  }

  /** From now on the key may not do this. */
  deny(...operations: readonly Operation[]): this {
    for (const operation of operations) this.fail(operation, serviceError("AccessDenied", 403));
    return this;
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    this.#ask("list", prefix);
    for (const key of this.keys.filter((key) => key.startsWith(prefix))) {
      const { bytes, storedAt } = this.#find(key);
      yield { key, bytes: bytes.length, storedAt };
    }
  }

  async head(key: string): Promise<ObjectHead> {
    this.#ask("head", key);
    // An answer to HEAD has no body, in which the service could name its error.
    const found = this.#objects.get(key);
    if (found === undefined) throw serviceError("NotFound", 404);
    return { bytes: found.bytes.length, metadata: found.metadata };
  }

  async *versions(key: string): AsyncGenerator<ObjectVersion> {
    this.#ask("versions", key);
    const found = this.#objects.get(key);
    if (found === undefined) return;
    yield { id: "null", bytes: found.bytes.length, storedAt: found.storedAt };
  }

  async get(key: string): Promise<ObjectBody> {
    this.#ask("get", key);
    return bodyOf(this.#find(key).bytes, undefined);
  }

  async getRange(
    key: string,
    range: { readonly from: number; readonly to?: number; readonly ifMatch?: string },
  ): Promise<ObjectBody> {
    const { from, to, ifMatch } = range;
    this.#ask("get", key);
    const { bytes } = this.#find(key);
    if (ifMatch !== undefined && ifMatch !== etagOf(bytes)) throw taken();
    if (from >= bytes.length) throw serviceError("InvalidRange", 416);
    const body = bodyOf(bytes.subarray(from, to === undefined ? undefined : to + 1), from);
    return { ...body, etag: etagOf(bytes) };
  }

  async putNew(key: string, bytes: Buffer, _contentType: string): Promise<void> {
    this.#ask("put", key);
    if (this.#objects.has(key)) throw taken();
    this.set(key, bytes);
  }

  async startUpload(
    key: string,
    metadata: Readonly<Record<string, string>> = {},
  ): Promise<ObjectUpload> {
    this.#ask("upload", key);
    const upload = new MemoryUpload(key, {
      complete: (bytes) => {
        if (this.#objects.has(key)) throw taken();
        this.set(key, bytes, metadata);
      },
      end: () => this.#uploads.delete(upload),
    });
    this.#uploads.add(upload);
    return upload;
  }

  async *listUploads(prefix: string): AsyncGenerator<UnfinishedUpload> {
    for (const upload of this.#uploads) {
      const { key, begunAt } = upload;
      if (key.startsWith(prefix)) yield { key, uploadId: String(upload.id), begunAt };
    }
  }

  async abortUpload({ uploadId }: UnfinishedUpload): Promise<void> {
    const upload = [...this.#uploads].find(({ id }) => String(id) === uploadId);
    if (upload === undefined) throw serviceError("NoSuchUpload", 404);
    await upload.abort();
  }

  async delete(key: string): Promise<void> {
    this.#ask("delete", key);
    this.#objects.delete(key);
  }

  serviceTime(): Date {
    return new Date();
  }

  #ask(operation: Operation, key: string): void {
    this.requests.push(`${operation} ${key}`);
    const error = this.#failures.get(operation)?.(key);
    if (error !== undefined) throw error;
  }

  #find(key: string): MemoryObject {
    const found = this.#objects.get(key);
    if (found === undefined) throw serviceError("NoSuchKey", 404);
    return found;
  }
}

let uploads = 0;

class MemoryUpload implements ObjectUpload {
  readonly key: string;
  readonly begunAt = new Date().toISOString();
  readonly id = ++uploads;
  readonly #parts = new Map<number, Buffer>();
  readonly #store: { readonly complete: (bytes: Buffer) => void; readonly end: () => void };
  #open = true;

  constructor(
    key: string,
    store: { readonly complete: (bytes: Buffer) => void; readonly end: () => void },
  ) {
    this.key = key;
    this.#store = store;
  }

  async sendPart(number: number, bytes: Buffer, signal?: AbortSignal): Promise<StoredPart> {
    signal?.throwIfAborted();
    this.#requireOpen();
    // The caller fills its buffer anew as soon as the answer is there.
    this.#parts.set(number, Buffer.from(bytes));
    return { number, etag: etagOf(bytes) };
  }

  async complete(parts: readonly StoredPart[]): Promise<void> {
    this.#requireOpen();
    const bodies = parts.map(({ number, etag }) => {
      const bytes = this.#parts.get(number);
      if (bytes === undefined || etagOf(bytes) !== etag) throw serviceError("InvalidPart", 400);
      return bytes;
    });
    if (bodies.slice(0, -1).some(({ length }) => length < SMALLEST_PART)) {
      throw serviceError("EntityTooSmall", 400);
    }
    this.#store.complete(Buffer.concat(bodies));
    this.#end();
  }

  async abort(): Promise<void> {
    this.#requireOpen();
    this.#end();
  }

  async countParts(): Promise<number> {
    this.#requireOpen();
    return this.#parts.size;
  }

  #end(): void {
    this.#open = false;
    this.#parts.clear();
    this.#store.end();
  }

  #requireOpen(): void {
    if (!this.#open) throw serviceError("NoSuchUpload", 404);
  }
}

/** An error as the SDK makes it of a service's answer. */
export function serviceError(name: string, httpStatusCode: number): Error {
  return Object.assign(new Error(name), { name, $metadata: { httpStatusCode } });
}

const taken = () => serviceError("PreconditionFailed", 412);

/** S3's for an object that was not sent in parts. */
function etagOf(bytes: Buffer): string {
  return `"${createHash("md5").update(bytes).digest("hex")}"`;
}

function bodyOf(bytes: Buffer, start: number | undefined): ObjectBody {
  const stream = Readable.from(bytes.length === 0 ? [] : [bytes], { objectMode: false });
  return { stream, bytes: bytes.length, etag: etagOf(bytes), start };
}

/** S3 lists in the order of the bytes in UTF-8, which is not that of JavaScript's text. */
function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
