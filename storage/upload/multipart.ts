import { Problem } from "../../common/problem.ts";
import { AnswerError, explain, isDenied, isMissing, isTaken } from "../s3/errors.ts";
import type { ObjectHead, ObjectStore, ObjectUpload, StoredPart } from "../s3/objectStore.ts";
import type { FullPart } from "./partPool.ts";
import { retriedWhenDamaged } from "./retry.ts";
import { checkWrite, isInDoubt, UncertainWrite, type WriteCheck } from "./writeCheck.ts";

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

  /** Sends one part; the SDK tries again by itself, but not when it arrived damaged. */
  async send(part: FullPart, signal: AbortSignal): Promise<void> {
    const stored = await retriedWhenDamaged(() =>
      this.#upload.sendPart(part.number, part.bytes, signal),
    );
    this.#bytes += part.bytes.length;
    this.#parts.push(stored);
  }

  /**
   * Makes the object visible, unless the key exists, and looks at what the service then holds. A failed answer may hide
   * a success (the connection broke after the work was done), so the object itself is asked before giving up.
   * @throws UncertainWrite when it is not known whether it is there
   */
  async complete(): Promise<void> {
    try {
      await this.#upload.complete(this.#parts.toSorted((a, b) => a.number - b.number));
    } catch (error) {
      if (!isTaken(error) && !isInDoubt(error) && !isGone(error)) throw error;
      const seen = await this.#look(false);
      if (seen.found === "ours") return;
      if (isTaken(error) || seen.found === "nothing" || seen.found === "other") throw error;
      const refusal = explain(error, this.#store.address, `upload ${this.#key}`);
      throw new UncertainWrite(`${refusal.message} ${this.#notSeen(seen)}`, { cause: error });
    }
    const seen = await this.#look(true);
    // A key without the right to read cannot look; the reader will compare with the manifest then.
    if (seen.found === "ours" || seen.found === "denied") return;
    if (seen.found === "unknown") {
      throw new UncertainWrite(`the service acknowledged ${this.#key}. ${this.#notSeen(seen)}`, {
        cause: seen.cause,
      });
    }
    throw new Problem(
      `the service acknowledged ${this.#key}, but does not hold the ${this.#bytes} bytes that were sent. The backup does not count.`,
    );
  }

  #look(expected: boolean): Promise<WriteCheck> {
    return checkWrite(() => this.#holdsThisUpload(), { expected });
  }

  #notSeen(seen: WriteCheck): string {
    const reason =
      seen.found === "unknown"
        ? explain(seen.cause, this.#store.address, `look at ${this.#key}`).message
        : "the key may not read.";
    return `Whether it is there all the same could not be seen: ${reason} Without a manifest it does not count in any case.`;
  }

  async #holdsThisUpload(): Promise<boolean> {
    const { bytes, metadata } = await this.#head();
    return bytes === this.#bytes && metadata[runIdEntry] === this.#runId;
  }

  /** An answer to HEAD has no body, so that an expired key looks like one that may not read: only GET tells them apart. */
  async #head(): Promise<ObjectHead> {
    try {
      return await this.#store.head(this.#key);
    } catch (error) {
      if (isDenied(error)) {
        const { stream } = await this.#store.getRange(this.#key, { from: 0, to: 0 });
        stream.destroy();
      }
      throw error;
    }
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
