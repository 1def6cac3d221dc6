import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListPartsCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { Problem } from "../../common/problem.ts";
import type { Store } from "../s3/client.ts";
import { explain, isDenied, isMissing, isTaken, notS3 } from "../s3/errors.ts";
import { leaveUnsigned } from "../s3/unsignedPayload.ts";
import type { FullPart } from "./partPool.ts";
import { inSlices } from "./slicedBody.ts";

const abortTries = 3;
const abortDeadlineMs = 20_000;
/** Metadata entry that tells our own upload from somebody else's under the same key. */
const runIdEntry = "run-id";

/** One multipart upload at the service: created, parts sent, then completed or dropped. */
export class MultipartUpload {
  readonly #store: Store;
  readonly #target: { readonly Bucket: string; readonly Key: string; readonly UploadId: string };
  readonly #runId: string;
  readonly #parts: CompletedPart[] = [];
  #bytes = 0;

  private constructor(store: Store, key: string, uploadId: string, runId: string) {
    this.#store = store;
    this.#target = { Bucket: store.address.bucket, Key: key, UploadId: uploadId };
    this.#runId = runId;
  }

  static async create(
    store: Store,
    key: string,
    runId: string,
    metadata: Readonly<Record<string, string>>,
  ): Promise<MultipartUpload> {
    const { client, address } = store;
    const answer = await client.send(
      new CreateMultipartUploadCommand({
        Bucket: address.bucket,
        Key: key,
        ContentType: "application/octet-stream",
        Metadata: { ...metadata, [runIdEntry]: runId },
        ...checksum(store),
      }),
    );
    if (answer.UploadId === undefined) throw notS3(address, `write ${key}`);
    return new MultipartUpload(store, key, answer.UploadId, runId);
  }

  /** Sends one part; the SDK tries again by itself. */
  async send(part: FullPart, signal: AbortSignal): Promise<void> {
    const command = new UploadPartCommand({
      ...this.#target,
      PartNumber: part.number,
      Body: part.bytes,
      ...checksum(this.#store),
    });
    const { ETag, ChecksumCRC32 } = await this.#store.client.send(
      inSlices(leaveUnsigned(command, this.#store)),
      { abortSignal: signal },
    );
    this.#bytes += part.bytes.length;
    this.#parts.push({
      PartNumber: part.number,
      ETag,
      ...(ChecksumCRC32 !== undefined && { ChecksumCRC32 }),
    });
  }

  /**
   * Makes the object visible, unless the key exists, and checks what the service then holds. A failed answer may hide
   * a success (the connection broke after the work was done), so the object itself is asked before giving up.
   */
  async complete(): Promise<void> {
    const { client, address } = this.#store;
    try {
      await client.send(
        new CompleteMultipartUploadCommand({
          ...this.#target,
          MultipartUpload: {
            Parts: this.#parts.toSorted((a, b) => (a.PartNumber ?? 0) - (b.PartNumber ?? 0)),
          },
          ...(address.provider.conditionalWrites && { IfNoneMatch: "*" }),
        }),
      );
    } catch (error) {
      const doubtful = isTaken(error) || !isAnswered(error) || isGone(error);
      if (doubtful && (await this.#holdsOurs().catch(() => false))) return;
      throw error;
    }
    // A key without the right to read cannot look; the reader will compare with the manifest then.
    const ours = await this.#holdsOurs().catch((error: unknown) => {
      if (isDenied(error)) return true;
      throw error;
    });
    if (!ours) {
      throw new Problem(
        `the service acknowledged ${this.#target.Key}, but does not hold the ${this.#bytes} bytes that were sent. The backup does not count.`,
      );
    }
  }

  async #holdsOurs(): Promise<boolean> {
    const { Bucket, Key } = this.#target;
    const head = await this.#store.client.send(new HeadObjectCommand({ Bucket, Key }));
    return head.ContentLength === this.#bytes && head.Metadata?.[runIdEntry] === this.#runId;
  }

  /**
   * Drops the upload and its parts, within 20 s. Looks afterwards, because a part that arrives at the same moment may
   * survive the first try.
   */
  async abort(): Promise<void> {
    const { client, address } = this.#store;
    const abortSignal = AbortSignal.timeout(abortDeadlineMs);
    try {
      for (let i = 0; i < abortTries; i++) {
        await client.send(new AbortMultipartUploadCommand(this.#target), { abortSignal });
        if ((await this.#partsLeft(abortSignal)) === 0) return;
      }
    } catch (error) {
      if (isGone(error)) return;
      throw explain(error, address, `drop the unfinished upload of ${this.#target.Key}`);
    }
    throw new Problem(`the unfinished upload of ${this.#target.Key} still holds parts.`);
  }

  async #partsLeft(abortSignal: AbortSignal): Promise<number> {
    try {
      const answer = await this.#store.client.send(new ListPartsCommand(this.#target), {
        abortSignal,
      });
      return answer.Parts?.length ?? 0;
    } catch (error) {
      // Without the right to look, the acknowledged abort has to do.
      if (isGone(error) || isDenied(error)) return 0;
      throw error;
    }
  }
}

/** Where checksums are wanted they are named on every call, so that the service joins them into one for the object. */
function checksum(store: Store): { ChecksumAlgorithm?: "CRC32" } {
  return store.address.provider.checksums === "when-supported"
    ? { ChecksumAlgorithm: "CRC32" }
    : {};
}

function isGone(error: unknown): boolean {
  return (error instanceof Error && error.name === "NoSuchUpload") || isMissing(error);
}

/** Whether the service itself said no, so that nothing is in doubt. */
function isAnswered(error: unknown): boolean {
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
  return status !== undefined && status < 500;
}
