import { createReadStream, readdirSync } from "node:fs";
import { mkdir, open, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { release } from "../../common/releaseBuffer.ts";
import { segmentName, segmentPlace } from "../../storage/catalogue/walPosition.ts";

const SEGMENT = /^[0-9A-F]{24}$/;
const PARTIAL = /^[0-9A-F]{24}\.partial$/;
const HELD = /^[0-9A-F]{24}(\.partial)?$/;
const HISTORY = /^[0-9A-F]{8}\.history$/;

/** Read of a file at once. */
const CHUNK_BYTES = 256 * 1024;

/** What lies in the folder. */
export interface Spooled {
  /** Whole segments that are not archived yet, in their order. */
  readonly whole: readonly string[];
  /** The segment that is being written, without its ending; undefined between two of them. */
  readonly open: string | undefined;
  readonly histories: readonly string[];
}

/**
 * The folder, in memory, into which `pg_receivewal` writes. Where that goes on is decided by the names that it finds there: at the
 * newest segment that is not whole, else behind the newest whole one (FindStreamingStart of pg_receivewal.c). So an empty file of a
 * segment's size stands in for the one that was archived last; it takes no memory.
 */
export class Spool {
  readonly folder: string;
  readonly segmentBytes: number;
  #archived = "";

  constructor(folder: string, segmentBytes: number) {
    this.folder = folder;
    this.segmentBytes = segmentBytes;
  }

  /** Empties the folder, and has the receiver begin there. @param from the first byte of a segment */
  async begin(timeline: number, from: bigint): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    // Not the whole one before it: to pg_receivewal the segment 0, before the first of a cluster, is none.
    const first = segmentName(timeline, from, this.segmentBytes);
    await writeFile(join(this.folder, `${first}.partial`), "", { mode: 0o600 });
  }

  /** Segments that take memory, the open one included. */
  held(): number {
    const names = readdirSync(this.folder);
    return names.filter((name) => HELD.test(name) && name !== this.#archived).length;
  }

  /** The segment is in the bucket: its memory is given back. */
  async archived(name: string): Promise<void> {
    const standIn = join(this.folder, "stand-in");
    const file = await open(standIn, "w", 0o600);
    try {
      await file.truncate(this.segmentBytes);
    } finally {
      await file.close();
    }
    // At once, since the receiver may look at any moment.
    await rename(standIn, join(this.folder, name));
    const before = this.#archived;
    this.#archived = name;
    if (before !== "" && before !== name) await rm(join(this.folder, before), { force: true });
  }

  async look(): Promise<Spooled> {
    const names = (await readdir(this.folder)).toSorted();
    return {
      whole: names.filter((name) => SEGMENT.test(name) && name > this.#archived),
      open: names.find((name) => PARTIAL.test(name))?.slice(0, 24),
      histories: names.filter((name) => HISTORY.test(name)),
    };
  }

  /** What is yielded is valid only until the next one is asked for: its memory is given back at once. */
  async *read(name: string): AsyncGenerator<Buffer> {
    const path = join(this.folder, name);
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
      yield chunk;
      release(chunk);
    }
  }

  /** Where a segment ends. */
  endOf(name: string): bigint {
    return segmentPlace(name, this.segmentBytes).to;
  }
}
