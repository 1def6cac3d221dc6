import { Readable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "../../common/problem.ts";
import { explain, isMissing, isTaken } from "./errors.ts";
import { type ObjectBody, type ObjectStore, readWhole } from "./objectStore.ts";

const fruitlessTries = 5;

/**
 * Opens an object for one reading from start to end. A connection that drops is resumed from the last byte, on the
 * condition that the object is still the same; after five tries in a row without a byte the stream fails.
 * The stream fails with a Problem; destroying it closes the connection.
 * @returns the stream, and the object's size in bytes
 * @throws Problem when the object is not there or cannot be read
 */
export async function openObject(
  store: ObjectStore,
  key: string,
): Promise<{ stream: Readable; bytes: number }> {
  const first = await open(store, key, () => store.get(key));
  const { bytes, etag } = first;
  if (bytes === undefined || etag === undefined) {
    throw new Problem(`cannot read ${key}: the service gives neither its size nor its version.`);
  }
  const stream = Readable.from(pieces(store, key, first, bytes, etag), { objectMode: false });
  return { stream, bytes };
}

/**
 * Reads the first bytes of an object.
 * @param most so many at most; fewer when the object is smaller
 * @throws Problem when the object is not there or cannot be read
 */
export async function readStart(store: ObjectStore, key: string, most: number): Promise<Buffer> {
  const range = { from: 0, to: most - 1 };
  const answer = await open(store, key, () => store.getRange(key, range));
  try {
    // A service that knows no ranges sends everything.
    return await readWhole(answer, most);
  } catch (error) {
    throw explain(error, store.address, `read ${key}`);
  }
}

async function* pieces(
  store: ObjectStore,
  key: string,
  first: ObjectBody,
  bytes: number,
  etag: string,
): AsyncGenerator<Buffer> {
  let at = 0;
  let tries = 0;
  let answer: ObjectBody | undefined = first;
  let cause: unknown;
  while (at < bytes) {
    const before = at;
    try {
      answer ??= await resume(store, key, at, etag);
      for await (const chunk of answer.stream as AsyncIterable<Buffer>) {
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

async function resume(store: ObjectStore, key: string, at: number, etag: string) {
  const range = { from: at, ifMatch: etag };
  const answer = await open(store, key, () => store.getRange(key, range));
  if (answer.start !== at) {
    throw new Problem(
      `cannot read ${key}: the connection broke, and the service cannot go on midway.`,
    );
  }
  return answer;
}

async function open(
  store: ObjectStore,
  key: string,
  ask: () => Promise<ObjectBody>,
): Promise<ObjectBody> {
  try {
    return await ask();
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
