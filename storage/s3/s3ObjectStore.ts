import { Readable } from "node:stream";
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  ListPartsCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import type { StoreAddress } from "../address/address.ts";
import { AnswerError, notS3 } from "./errors.ts";
import type {
  ListedObject,
  ObjectBody,
  ObjectHead,
  ObjectStore,
  ObjectUpload,
  ObjectVersion,
  StoredPart,
  UnfinishedUpload,
} from "./objectStore.ts";
import { ServiceClock } from "./serviceClock.ts";
import { inSlices } from "./slicedBody.ts";
import { leaveUnsigned } from "./unsignedPayload.ts";

/** The objects of a bucket at a service that speaks S3. */
export class S3ObjectStore implements ObjectStore {
  readonly client: S3Client;
  readonly address: StoreAddress;
  readonly #clock = new ServiceClock();

  constructor(client: S3Client, address: StoreAddress) {
    this.client = client;
    this.address = address;
    // Nearer to the answer than what reads it, so that a refusal tells the time as well.
    client.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        const { headers } = result.response as { readonly headers?: Record<string, string> };
        this.#clock.note(headers?.["date"]);
        return result;
      },
      // Without a name: a client may serve several stores.
      { step: "deserialize", priority: "low" },
    );
  }

  serviceTime(): Date | undefined {
    return this.#clock.now();
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    let token: string | undefined;
    do {
      const page = await this.client.send(
        new ListObjectsV2Command({
          Bucket: this.address.bucket,
          Prefix: prefix,
          ...(token !== undefined && { ContinuationToken: token }),
        }),
      );
      // S3 always says whether the list goes on (API_ListObjectsV2). A web page reads as an empty answer, which must not pass for an empty bucket.
      if (page.IsTruncated === undefined) throw notS3(this.address);
      for (const { Key: key, Size: bytes, LastModified: modified } of page.Contents ?? []) {
        if (key !== undefined && bytes !== undefined && modified !== undefined) {
          yield { key, bytes, storedAt: modified.toISOString() };
        }
      }
      const next = page.IsTruncated ? page.NextContinuationToken : undefined;
      if (page.IsTruncated && (next === undefined || next === token)) {
        throw new AnswerError("the service says that there are more, but not where they go on.");
      }
      token = next;
    } while (token !== undefined);
  }

  async head(key: string): Promise<ObjectHead> {
    const { ContentLength: bytes, Metadata: metadata = {} } = await this.client.send(
      new HeadObjectCommand(this.#target(key)),
    );
    return { bytes, metadata };
  }

  async *versions(key: string): AsyncGenerator<ObjectVersion> {
    let from: { readonly KeyMarker?: string; readonly VersionIdMarker?: string } = {};
    for (;;) {
      const page = await this.client.send(
        new ListObjectVersionsCommand({ Bucket: this.address.bucket, Prefix: key, ...from }),
      );
      if (page.IsTruncated === undefined) throw notS3(this.address);
      let beyond = false;
      for (const { Key, VersionId: id, Size: bytes, LastModified: at } of page.Versions ?? []) {
        // Keys that only begin so follow this one, as S3 lists them in their order.
        if (Key !== key) beyond = true;
        else if (id !== undefined && bytes !== undefined && at !== undefined) {
          yield { id, bytes, storedAt: at.toISOString() };
        }
      }
      const { NextKeyMarker: KeyMarker, NextVersionIdMarker: VersionIdMarker } = page;
      const isSame = KeyMarker === from.KeyMarker && VersionIdMarker === from.VersionIdMarker;
      if (!page.IsTruncated || beyond || KeyMarker === undefined || isSame) return;
      from = { KeyMarker, ...(VersionIdMarker !== undefined && { VersionIdMarker }) };
    }
  }

  get(key: string, version?: string): Promise<ObjectBody> {
    return this.#read(key, { ...(version !== undefined && { VersionId: version }) });
  }

  getRange(key: string, range: Parameters<ObjectStore["getRange"]>[1]): Promise<ObjectBody> {
    const { from, to = "", ifMatch, version } = range;
    return this.#read(key, {
      ...(version !== undefined && { VersionId: version }),
      ...(ifMatch !== undefined && { IfMatch: ifMatch }),
      Range: `bytes=${from}-${to}`,
    });
  }

  async #read(
    key: string,
    how: { readonly IfMatch?: string; readonly Range?: string; readonly VersionId?: string },
  ): Promise<ObjectBody> {
    const answer = await this.client.send(new GetObjectCommand({ ...this.#target(key), ...how }));
    // `bytes 5-9/10`, RFC 9110, section 14.4.
    const start = /^bytes (\d+)-/.exec(answer.ContentRange ?? "")?.[1];
    return {
      stream: answer.Body instanceof Readable ? answer.Body : Readable.from([]),
      bytes: answer.ContentLength,
      etag: answer.ETag,
      start: start === undefined ? undefined : Number(start),
    };
  }

  async putNew(key: string, bytes: Buffer, contentType: string): Promise<void> {
    await this.client.send(
      new PutObjectCommand({
        ...this.#target(key),
        Body: bytes,
        ContentType: contentType,
        ...onlyNew(this.address),
      }),
    );
  }

  async startUpload(
    key: string,
    metadata?: Readonly<Record<string, string>>,
  ): Promise<ObjectUpload> {
    const { UploadId } = await this.client.send(
      new CreateMultipartUploadCommand({
        ...this.#target(key),
        ContentType: "application/octet-stream",
        ...(metadata && { Metadata: { ...metadata } }),
        ...checksum(this.address),
      }),
    );
    if (UploadId === undefined) throw notS3(this.address);
    return new S3Upload(this, { ...this.#target(key), UploadId });
  }

  async *listUploads(prefix: string): AsyncGenerator<UnfinishedUpload> {
    let from: { readonly KeyMarker?: string; readonly UploadIdMarker?: string } | undefined = {};
    while (from !== undefined) {
      const page: ListMultipartUploadsCommandOutput = await this.client.send(
        new ListMultipartUploadsCommand({
          Bucket: this.address.bucket,
          Prefix: prefix,
          ...from,
        }),
      );
      for (const { Key: key, UploadId: uploadId, Initiated: begun } of page.Uploads ?? []) {
        if (key !== undefined && uploadId !== undefined && begun !== undefined) {
          yield { key, uploadId, begunAt: begun.toISOString() };
        }
      }
      const { NextKeyMarker, NextUploadIdMarker = "" } = page;
      const goesOn = page.IsTruncated === true && NextKeyMarker !== undefined;
      from = goesOn ? { KeyMarker: NextKeyMarker, UploadIdMarker: NextUploadIdMarker } : undefined;
    }
  }

  async abortUpload({ key, uploadId }: UnfinishedUpload): Promise<void> {
    await this.client.send(
      new AbortMultipartUploadCommand({ ...this.#target(key), UploadId: uploadId }),
    );
  }

  async delete(key: string): Promise<void> {
    await this.client.send(new DeleteObjectCommand(this.#target(key)));
  }

  #target(key: string): { readonly Bucket: string; readonly Key: string } {
    return { Bucket: this.address.bucket, Key: key };
  }
}

/** A multipart upload, request by request; `MultipartUpload` knows what to do about their failures. */
class S3Upload implements ObjectUpload {
  readonly #store: S3ObjectStore;
  readonly #target: { readonly Bucket: string; readonly Key: string; readonly UploadId: string };

  constructor(
    store: S3ObjectStore,
    target: { readonly Bucket: string; readonly Key: string; readonly UploadId: string },
  ) {
    this.#store = store;
    this.#target = target;
  }

  async sendPart(number: number, bytes: Buffer, signal?: AbortSignal): Promise<StoredPart> {
    const command = new UploadPartCommand({
      ...this.#target,
      PartNumber: number,
      Body: bytes,
      ...checksum(this.#store.address),
    });
    const { ETag: etag, ChecksumCRC32: crc32 } = await this.#store.client.send(
      inSlices(leaveUnsigned(command, this.#store.address)),
      stoppedBy(signal),
    );
    return { number, etag, ...(crc32 !== undefined && { crc32 }) };
  }

  async complete(parts: readonly StoredPart[]): Promise<void> {
    await this.#store.client.send(
      new CompleteMultipartUploadCommand({
        ...this.#target,
        MultipartUpload: {
          Parts: parts.map(({ number, etag, crc32 }) => ({
            PartNumber: number,
            ETag: etag,
            ...(crc32 !== undefined && { ChecksumCRC32: crc32 }),
          })),
        },
        ...onlyNew(this.#store.address),
      }),
    );
  }

  async abort(signal?: AbortSignal): Promise<void> {
    await this.#store.client.send(new AbortMultipartUploadCommand(this.#target), stoppedBy(signal));
  }

  async countParts(signal?: AbortSignal): Promise<number> {
    const { Parts } = await this.#store.client.send(
      new ListPartsCommand(this.#target),
      stoppedBy(signal),
    );
    return Parts?.length ?? 0;
  }
}

/**
 * Refuses to replace an object, with PreconditionFailed (412).
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
 */
function onlyNew({ provider }: StoreAddress): { readonly IfNoneMatch?: "*" } {
  return provider.conditionalWrites ? { IfNoneMatch: "*" } : {};
}

/** Where checksums are wanted they are named on every call, so that the service joins them into one for the object. */
function checksum({ provider }: StoreAddress): { readonly ChecksumAlgorithm?: "CRC32" } {
  return provider.checksums === "when-supported" ? { ChecksumAlgorithm: "CRC32" } : {};
}

function stoppedBy(signal: AbortSignal | undefined): { readonly abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}
