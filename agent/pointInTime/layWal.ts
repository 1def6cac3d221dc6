import { mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { Problem } from "../../common/problem.ts";
import { segmentKey } from "../../storage/catalogue/pointInTimeKeys.ts";
import type { Recovery } from "../../storage/pointInTime/chooseRecovery.ts";
import { type Unsealing, unsealed } from "./unseal.ts";

/** So many are read at once: a small object costs a way to the bucket and back, whatever its size. */
const AT_ONCE = 4;

/**
 * Lays out the segments of a recovery in a folder, each under PostgreSQL's own name and in its full length. Of one that was still
 * open, the pieces are put together, and what was not written yet is zeros, as on the server.
 * @param onSegment called with the number of segments that are there
 * @throws Problem when one cannot be read, or has another length than it must
 */
export async function layWal(
  how: Unsealing,
  { chain, segments, pieced }: Recovery,
  folder: string,
  onSegment: (done: number) => void,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  let done = 0;
  const { prefix } = how.store.address;
  const works = [
    ...segments.map((file) => async () => {
      const key = segmentKey(prefix, chain.chain, file, chain);
      const bytes = await writeAll(how, [{ key, from: 0 }], join(folder, file), chain.segmentBytes);
      if (bytes === chain.segmentBytes) return;
      throw new Problem(`${key} is damaged: it holds ${bytes} bytes of ${chain.segmentBytes}.`);
    }),
    ...pieced.map(({ file, pieces }) => async () => {
      const last = pieces.at(-1)?.to ?? 0;
      const bytes = await writeAll(how, pieces, join(folder, file), chain.segmentBytes);
      if (bytes === last) return;
      throw new Problem(`a piece of ${file} is damaged: they hold ${bytes} bytes of ${last}.`);
    }),
  ];
  const worker = async () => {
    for (let work = works.shift(); work !== undefined; work = works.shift()) {
      how.signal.throwIfAborted();
      await work();
      done += 1;
      onSegment(done);
    }
  };
  const workers = Array.from({ length: AT_ONCE }, worker);
  try {
    await Promise.all(workers);
  } finally {
    works.length = 0;
    await Promise.allSettled(workers);
  }
}

/** @returns the place behind the last byte that was written */
async function writeAll(
  how: Unsealing,
  parts: readonly { readonly key: string; readonly from: number }[],
  path: string,
  length: number,
): Promise<number> {
  const file = await open(path, "w", 0o644);
  let end = 0;
  try {
    for (const { key, from } of parts) {
      let at = from;
      for await (const chunk of unsealed(how, key)) {
        if (at + chunk.length > length) {
          throw new Problem(`${key} is damaged: it is longer than a segment.`);
        }
        await file.write(chunk, 0, chunk.length, at);
        at += chunk.length;
      }
      end = Math.max(end, at);
    }
    await file.truncate(length);
    return end;
  } finally {
    await file.close();
  }
}
