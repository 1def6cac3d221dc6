import { Problem } from "../../common/problem.ts";
import { AnswerError, explain, isDenied, isMissing, isTaken } from "../s3/errors.ts";
import type { ObjectStore, ObjectUpload, StoredPart } from "../s3/objectStore.ts";
import type { FullPart } from "./partPool.ts";

const abortTries = 3;
const abortDeadlineMs = 20_000;
/** Metadata entry that tells this upload from another program's under the same key. */
const runIdEntry = "run-id";

/** One multipart upload at the service: created, parts sent, then completed or dropped. */
export class MultipartUpload {
  readonly #store: ObjectStore;
  readonly #key: string;
  readonly #upload: ObjectUpload;
  readonly #runId: string;
  readonly #parts: StoredPart[] = [];
  #bytes = 0;

  private constructor(store: ObjectStore, key: string, upload: ObjectUpload, runId: string) {
    this.#store = store;
    this.#key = key;
    this.#upload = upload;
    this.#runId = runId;
  }

  static async create(
    store: ObjectStore,
    key: string,
    runId: string,
    metadata: Readonly<Record<string, string>>,
  ): Promise<MultipartUpload> {
    try {
      const upload = await store.startUpload(key, { ...metadata, [runIdEntry]: runId });
      return new MultipartUpload(store, key, upload, runId);
    } catch (error) {
      throw error instanceof AnswerError ? explain(error, store.address, `write ${key}`) : error;
    }
  }

  /** Sends one part; the SDK tries again by itself. */
  async send(part: FullPart, signal: AbortSignal): Promise<void> {
    const stored = await this.#upload.sendPart(part.number, part.bytes, signal);
    this.#bytes += part.bytes.length;
    this.#parts.push(stored);
  }

  /**
   * Makes the object visible, unless the key exists, and checks what the service then holds. A failed answer may hide
   * a success (the connection broke after the work was done), so the object itself is asked before giving up.
   */
  async complete(): Promise<void> {
    try {
      await this.#upload.complete(this.#parts.toSorted((a, b) => a.number - b.number));
    } catch (error) {
      const uncertain = isTaken(error) || !isAnswered(error) || isGone(error);
      if (uncertain && (await this.#holdsThisUpload().catch(() => false))) return;
      throw error;
    }
    // A key without the right to read cannot look; the reader will compare with the manifest then.
    const stored = await this.#holdsThisUpload().catch((error: unknown) => {
      if (isDenied(error)) return true;
      throw error;
    });
    if (!stored) {
      throw new Problem(
        `the service acknowledged ${this.#key}, but does not hold the ${this.#bytes} bytes that were sent. The backup does not count.`,
      );
    }
  }

  async #holdsThisUpload(): Promise<boolean> {
    const { bytes, metadata } = await this.#store.head(this.#key);
    return bytes === this.#bytes && metadata[runIdEntry] === this.#runId;
  }

  /**
   * Drops the upload and its parts, within 20 s. Looks afterwards, because a part that arrives at the same moment may
   * survive the first try: https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
   */
  async abort(): Promise<void> {
    const abortSignal = AbortSignal.timeout(abortDeadlineMs);
    try {
      for (let i = 0; i < abortTries; i++) {
        await this.#upload.abort(abortSignal);
        if ((await this.#partsLeft(abortSignal)) === 0) return;
      }
    } catch (error) {
      if (isGone(error)) return;
      throw explain(error, this.#store.address, `drop the unfinished upload of ${this.#key}`);
    }
    throw new Problem(`the unfinished upload of ${this.#key} still holds parts.`);
  }

  async #partsLeft(abortSignal: AbortSignal): Promise<number> {
    try {
      return await this.#upload.countParts(abortSignal);
    } catch (error) {
      // Without the right to look, the acknowledged abort has to do.
      if (isGone(error) || isDenied(error)) return 0;
      throw error;
    }
  }
}

function isGone(error: unknown): boolean {
  return (error instanceof Error && error.name === "NoSuchUpload") || isMissing(error);
}

/** Whether the service itself said no, so that the outcome is certain. */
function isAnswered(error: unknown): boolean {
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
  return status !== undefined && status < 500;
}
