import type { Readable } from "node:stream";
import type { StoreAddress } from "../address/address.ts";

/** One object of a listing. */
export interface ListedObject {
  readonly key: string;
  readonly bytes: number;
  /** When the service stored it, ISO 8601 in UTC. */
  readonly storedAt: string;
}

/** One of the versions that a bucket with versioning keeps of an object. */
export interface ObjectVersion {
  readonly id: string;
  readonly bytes: number;
  /** When the service stored it, ISO 8601 in UTC. */
  readonly storedAt: string;
}

/** An object on its way here. */
export interface ObjectBody {
  /** May break off; a read to its end has to count the bytes. */
  readonly stream: Readable;
  /** Length of this answer; undefined where the service does not say it. */
  readonly bytes: number | undefined;
  /** Changes with the content; undefined where the service does not say it. */
  readonly etag: string | undefined;
  /** First byte of the range that the service says it sends; undefined: it sends the whole object, asked for it or not. */
  readonly start: number | undefined;
}

/** What is known of an object without reading it. */
export interface ObjectHead {
  readonly bytes: number | undefined;
  /** User metadata, names in lower case. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** The receipt for a part, which completes the upload. */
export interface StoredPart {
  readonly number: number;
  readonly etag: string | undefined;
  /** CRC32 in base64, where parts are sent with a checksum. */
  readonly crc32?: string;
}

/** An object that is sent in parts and is not visible yet. */
export interface ObjectUpload {
  /**
   * @param number from 1; parts may arrive in any order
   * @param bytes read until the answer is there, and not longer
   */
  sendPart(number: number, bytes: Buffer, signal?: AbortSignal): Promise<StoredPart>;
  /** Makes the object visible, unless the key exists. @param parts in the order of their numbers */
  complete(parts: readonly StoredPart[]): Promise<void>;
  /** Drops what was sent. A part that arrives at the same moment may survive: see `countParts`. */
  abort(signal?: AbortSignal): Promise<void>;
  /** Parts that the service holds, up to 1,000. */
  countParts(signal?: AbortSignal): Promise<number>;
}

/** An upload that was begun and neither completed nor aborted. */
export interface UnfinishedUpload {
  readonly key: string;
  readonly uploadId: string;
  /** ISO 8601 in UTC. */
  readonly begunAt: string;
}

/**
 * The objects of one bucket, as far as backups need them: what S3's API says of each request, and no rule above it.
 *
 * Every method fails with the service's own error, or the network's; `explain` makes a sentence of it, and `isMissing`,
 * `isTaken` and `isDenied` recognise three of them.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
 */
export interface ObjectStore {
  readonly address: StoreAddress;
  /** All objects whose key begins so, page after page. */
  list(prefix: string): AsyncIterable<ListedObject>;
  /** Fails as missing when there is no such object. */
  head(key: string): Promise<ObjectHead>;
  /** The versions of exactly this object, the newest first; a bucket without versioning has one. */
  versions(key: string): AsyncIterable<ObjectVersion>;
  /** Fails as missing when there is no such object. @param version one of `versions` @default the newest */
  get(key: string, version?: string): Promise<ObjectBody>;
  /**
   * Reads from a byte on.
   * @param range `to` is the last byte, included. `ifMatch` fails as taken when the object has another ETag by now
   */
  getRange(
    key: string,
    range: {
      readonly from: number;
      readonly to?: number;
      readonly ifMatch?: string;
      readonly version?: string;
    },
  ): Promise<ObjectBody>;
  /** Writes a small object. Fails as taken when the key exists, where the service knows `If-None-Match: *`. */
  putNew(key: string, bytes: Buffer, contentType: string): Promise<void>;
  /** Begins an object that is sent in parts. */
  startUpload(key: string, metadata?: Readonly<Record<string, string>>): Promise<ObjectUpload>;
  /** All unfinished uploads of keys that begin so, page after page. Fails as denied for most keys of a host. */
  listUploads(prefix: string): AsyncIterable<UnfinishedUpload>;
  /** Drops what an unfinished upload has stored. */
  abortUpload(upload: UnfinishedUpload): Promise<void>;
  /** The service's own time by its latest answer, whatever that was; undefined before the first, or where none tells it. */
  serviceTime(): Date | undefined;
  /** Deletes the current version. S3 answers the same for a key that does not exist. */
  delete(key: string): Promise<void>;
}

/**
 * The whole of an object that fits into memory.
 * @param most bytes that are taken of it; of a longer one the first `most`
 */
export async function readWhole(body: ObjectBody, most: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  // Leaving the loop closes the connection.
  for await (const piece of body.stream as AsyncIterable<Buffer>) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes >= most) break;
  }
  return Buffer.concat(pieces).subarray(0, most);
}
