import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";

const BLOCK_BYTES = 64 * 1024;

/** What a file was when it was looked at, so that it is seen whether it was written to since. */
export interface Written {
  readonly name: string;
  /** Of the last write, nanoseconds. */
  readonly at: bigint;
  /** Bytes from its start that have come. */
  readonly to: number;
}

/**
 * How far a segment has come that is being written: `pg_receivewal` makes the file at its full size, of zeros. Each page of WAL has a
 * header (XLogPageHeaderData of PostgreSQL's xlog_internal.h), so that 64 KiB of zeros are none. Zeros at the end of what has come are
 * left out; the recovered segment has them again, since it is filled up with zeros.
 * @param from bytes that are known to have come
 * @param known what it was at the last look; still the same: the file is not read
 */
export async function lookAtOpen(
  path: string,
  name: string,
  from: number,
  known: Written | undefined,
): Promise<Written> {
  const file = await open(path, "r");
  try {
    const { mtimeNs: at } = await file.stat({ bigint: true });
    if (known?.name === name && known.at === at) return known;
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    let to = from;
    for (let start = from - (from % BLOCK_BYTES); ; start += BLOCK_BYTES) {
      const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, start);
      const used = usedBytes(block.subarray(0, bytesRead));
      // The block of the start may have come as far as before, and no further.
      if (used === 0 && start > from) break;
      to = Math.max(to, start + used);
      if (bytesRead < BLOCK_BYTES) break;
    }
    return { name, at, to };
  } finally {
    await file.close();
  }
}

/** The bytes of a file from one to another, that one not included. */
export function readPart(path: string, from: number, to: number): AsyncIterable<Buffer> {
  return createReadStream(path, { start: from, end: to - 1, highWaterMark: BLOCK_BYTES });
}

const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** Bytes up to the last one that is not zero. */
function usedBytes(block: Buffer): number {
  if (block.equals(ZEROS.subarray(0, block.length))) return 0;
  let used = block.length;
  while (used > 0 && block[used - 1] === 0) used -= 1;
  return used;
}
