import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { GetObjectCommand, type GetObjectCommandOutput } from "@aws-sdk/client-s3";
import { Problem } from "../../common/problem.ts";
import type { Store } from "./client.ts";
import { explain, isMissing, isTaken } from "./errors.ts";

const fruitlessTries = 5;

/**
 * Opens an object for one reading from start to end. A connection that drops is resumed from the last byte, on the
 * condition that the object is still the same; after five tries in a row without a byte the stream fails.
 * The stream fails with a Problem; destroying it closes the connection.
 * @returns the stream, and the object's size in bytes
 * @throws Problem when the object is not there or cannot be read
 */
export async function openObject(
  store: Store,
  key: string,
): Promise<{ stream: Readable; bytes: number }> {
  const first = await get(store, key);
  const { ContentLength: bytes, ETag: etag } = first;
  if (bytes === undefined || etag === undefined) {
    throw new Problem(`cannot read ${key}: the service tells neither its size nor its version.`);
  }
  const stream = Readable.from(pieces(store, key, first, bytes, etag), { objectMode: false });
  return { stream, bytes };
}

/**
 * Reads the first bytes of an object.
 * @param most so many at most; fewer when the object is smaller
 * @throws Problem when the object is not there or cannot be read
 */
export async function readStart(store: Store, key: string, most: number): Promise<Buffer> {
  const answer = await get(store, key, { Range: `bytes=0-${most - 1}` });
  try {
    const bytes = await answer.Body?.transformToByteArray();
    // A service that knows no ranges sends everything.
    return Buffer.from(bytes ?? []).subarray(0, most);
  } catch (error) {
    throw explain(error, store.address, `read ${key}`);
  }
}

async function* pieces(
  store: Store,
  key: string,
  first: GetObjectCommandOutput,
  bytes: number,
  etag: string,
): AsyncGenerator<Buffer> {
  let at = 0;
  let tries = 0;
  let answer: GetObjectCommandOutput | undefined = first;
  let cause: unknown;
  while (at < bytes) {
    const before = at;
    try {
      answer ??= await resume(store, key, at, etag);
      if (!(answer.Body instanceof Readable)) throw new Error(`no body for ${key}`);
      for await (const chunk of answer.Body as AsyncIterable<Buffer>) {
        at += chunk.length;
        if (at > bytes)
          throw new Problem(`cannot read ${key}: the service sent more than its size.`);
        yield chunk;
      }
    } catch (error) {
      if (error instanceof Problem) throw error;
      cause = error;
    }
    answer = undefined;
    if (at === bytes) return;
    tries = at > before ? 1 : tries + 1;
    if (tries > fruitlessTries) {
      throw new Problem(
        `cannot read ${key}: the connection broke at byte ${at} of ${bytes}, and ${fruitlessTries} tries to go on failed. Run it again.`,
        { cause },
      );
    }
    await sleep(200 * 2 ** (tries - 1));
  }
}

async function resume(store: Store, key: string, at: number, etag: string) {
  const answer = await get(store, key, { IfMatch: etag, Range: `bytes=${at}-` });
  if (answer.ContentRange?.startsWith(`bytes ${at}-`) !== true) {
    throw new Problem(
      `cannot read ${key}: the connection broke, and the service cannot go on midway.`,
    );
  }
  return answer;
}

async function get(
  store: Store,
  key: string,
  from?: { readonly IfMatch?: string; readonly Range: string },
): Promise<GetObjectCommandOutput> {
  try {
    return await store.client.send(
      new GetObjectCommand({ Bucket: store.address.bucket, Key: key, ...from }),
    );
  } catch (error) {
    if (isMissing(error)) {
      throw new Problem(
        `cannot read ${key}: there is no such object in ${store.address.bucket}. Choose another backup from the list.`,
      );
    }
    if (isTaken(error)) {
      throw new Problem(
        `cannot read ${key}: it was replaced while it was being read. Run it again.`,
      );
    }
    throw explain(error, store.address, `read ${key}`);
  }
}
