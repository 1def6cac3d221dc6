import { constants, createZstdCompress, type ZstdCompress } from "node:zlib";
import { Problem } from "../../common/problem.ts";

const BLOCK = 512;
/** PostgreSQL's list of the files, which pg_basebackup puts into the tar as its last member. */
const FILES = "backup_manifest";
/** The ranges of WAL stand at the end of that list, within some hundred bytes. */
const TAIL_BYTES = 4096;

/** What the list of files says of the WAL that the base needs. */
export interface BaseRange {
  readonly timeline: number;
  readonly startLsn: string;
  readonly endLsn: string;
}

/**
 * Passes a tar of pg_basebackup on, and takes the list of files out of it on the way. A tar is a header of 512 bytes for each
 * member, with its name and size, and then its bytes, filled up to whole blocks (POSIX.1-1988, ustar).
 */
export class BaseTar {
  /** Bytes that have passed. */
  bytes = 0;
  readonly #files: ZstdCompress;
  readonly #compressed: Buffer[] = [];
  readonly #done: Promise<void>;
  readonly #header = Buffer.alloc(BLOCK);
  #filled = 0;
  /** Bytes of the member that are still to come, and of those that fill its last block. */
  #left = 0;
  #filling = 0;
  #isFiles = false;
  #tail = Buffer.alloc(0);

  constructor() {
    this.#files = createZstdCompress({ params: { [constants.ZSTD_c_checksumFlag]: 1 } });
    this.#done = new Promise((resolve, reject) => {
      this.#files
        .on("data", (chunk: Buffer) => this.#compressed.push(chunk))
        .on("end", resolve)
        .on("error", reject);
    });
    this.#done.catch(() => {});
  }

  async *pass(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      this.bytes += chunk.length;
      this.#read(chunk);
      yield chunk;
    }
    this.#files.end();
  }

  /**
   * The list of files as zstd, and the WAL that it names. Once the tar has passed.
   * @throws Problem when there was none
   */
  async files(): Promise<{ readonly compressed: Buffer; readonly range: BaseRange }> {
    await this.#done;
    const found =
      /"Timeline": (\d+), "Start-LSN": "([0-9A-F/]+)", "End-LSN": "([0-9A-F/]+)" \}\s*\]/.exec(
        this.#tail.toString("latin1"),
      );
    if (found === null) {
      throw new Problem(
        `pg_basebackup has written no ${FILES} that names its WAL, so the base backup does not count. Check that pg_basebackup is not wrapped by another program.`,
      );
    }
    const [, timeline, startLsn = "", endLsn = ""] = found;
    const range = { timeline: Number(timeline), startLsn, endLsn };
    return { compressed: Buffer.concat(this.#compressed), range };
  }

  #read(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, chunk.length - at);
        if (this.#isFiles) this.#keep(chunk.subarray(at, at + taken));
        this.#left -= taken;
        at += taken;
      } else if (this.#filling > 0) {
        const taken = Math.min(this.#filling, chunk.length - at);
        this.#filling -= taken;
        at += taken;
      } else {
        const taken = chunk.copy(this.#header, this.#filled, at);
        this.#filled += taken;
        at += taken;
        if (this.#filled === BLOCK) this.#begin();
      }
    }
  }

  #begin(): void {
    this.#filled = 0;
    const name = this.#header.toString("latin1", 0, 100).replace(/\0.*$/s, "");
    const size = sizeIn(this.#header);
    this.#isFiles = name === FILES;
    this.#left = size;
    this.#filling = (BLOCK - (size % BLOCK)) % BLOCK;
  }

  #keep(bytes: Buffer): void {
    // The chunk is somebody else's memory again soon.
    const own = Buffer.from(bytes);
    this.#files.write(own);
    this.#tail = Buffer.concat([this.#tail, own.subarray(-TAIL_BYTES)]).subarray(-TAIL_BYTES);
  }
}

/** Octal digits; of more than 8 GiB the bytes of the number, marked by the highest bit (tarCreateHeader of PostgreSQL's tar.c). */
function sizeIn(header: Buffer): number {
  const field = header.subarray(124, 136);
  if (((field[0] ?? 0) & 0x80) !== 0) return Number(field.readBigUInt64BE(4));
  const digits = field.toString("latin1").replace(/[\0 ]+$/, "");
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}
