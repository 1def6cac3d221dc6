// pg_dump's custom archive format, as PostgreSQL 17 has it in src/bin/pg_dump: header and table of contents are ReadHead and
// ReadToc of pg_backup_archiver.c, numbers, texts and offsets its ReadInt, ReadStr and ReadOffset, the data blocks behind
// them _skipData of pg_backup_custom.c.

/** Format 1.14 is PostgreSQL 12's, 1.15 16's, 1.16 17's and 18's: `K_VERS_...` in pg_backup_archiver.h. */
const KNOWN_MINORS = [14, 15, 16];
/** `archCustom` of pg_backup.h. */
const CUSTOM = 1;
const INT_BYTES = 4;
/** Of the field that says where an entry's data begins: its state, and the offset. */
export const OFFSET_BYTES = 8;
/** States of that field: `K_OFFSET_POS_NOT_SET`, `K_OFFSET_POS_SET`, `K_OFFSET_NO_DATA` of pg_backup_archiver.h. */
export const OFFSET_STATE = { notSet: 1, set: 2, noData: 3 } as const;
/** Kinds of data block: `BLK_DATA` and `BLK_BLOBS` of pg_backup_archiver.h. */
const [TABLE, LARGE_OBJECTS] = [1, 3];

/** Bytes that are not an archive as it is known here, or not a whole one. */
export class UnknownFormat extends Error {}

/** One entry of the table of contents. Texts are a byte a character, and empty where they were not asked for. */
export interface TocEntry {
  /** By it `pg_restore --list`, other entries and data blocks name the entry. */
  readonly id: number;
  /** Name of the object. */
  readonly tag: string;
  /** `TABLE`, `TABLE DATA`. */
  readonly type: string;
  /** `SECTION_...` of pg_backup.h: 1 none, 2 pre-data, 3 data, 4 post-data. */
  readonly section: number;
  /** The statements that make it. */
  readonly definition: string;
  /** The statement that loads its rows. */
  readonly copy: string;
  readonly schema: string;
  /** Ids of the entries that it needs. */
  readonly needs: readonly number[];
  /** Of the field that says where its data begins. */
  readonly state: number;
  /** Positions in the archive: of the entry, of what follows it, and of that field. */
  readonly start: number;
  readonly end: number;
  readonly stateAt: number;
}

/** The data of one entry. */
export interface DataBlock {
  readonly id: number;
  readonly start: number;
  readonly bytes: number;
  /** Pieces that it is made of, each of at most 128 KiB before compression. */
  readonly pieces: number;
}

/** Hears of the parts of an archive as they are read. Each is called when the last byte of the part was read. */
export interface ArchiveListener {
  /** @param format `1.16` @param countAt where the number of entries stands */
  readonly onHead?: (format: string, countAt: number) => void;
  readonly onEntry?: (entry: TocEntry) => void;
  readonly onToc?: (bytes: number) => void;
  readonly onBlock?: (block: DataBlock) => void;
}

/** Asks for bytes: so many if the number is positive; so many are passed over if it is negative. */
type Reading<T> = Generator<number, T, Buffer>;

/** Reads an archive from bytes that are handed to it piece by piece. Keeps nothing of them. */
export class ArchiveParser {
  readonly #reading: Reading<void>;
  #wanted: number;
  /** What has come of the bytes that are wanted, where a piece ended among them. */
  #begun: Buffer = Buffer.alloc(0);
  #piece: Buffer = Buffer.alloc(0);
  #at = 0;
  #before = 0;
  #boundary = -1;

  /** @param texts whether entries come with their texts @default false */
  constructor(listener: ArchiveListener, { texts = false }: { readonly texts?: boolean } = {}) {
    const heard: ArchiveListener = {
      ...listener,
      onToc: (bytes) => {
        this.#boundary = bytes;
        listener.onToc?.(bytes);
      },
      onBlock: (block) => {
        this.#boundary = block.start + block.bytes;
        listener.onBlock?.(block);
      },
    };
    this.#reading = new Grammar(heard, texts).archive();
    this.#wanted = this.#reading.next().value ?? 0;
  }

  /** How much of the piece at hand has been read. */
  get at(): number {
    return this.#at;
  }

  /** Where the next byte that is wanted stands in the archive, which may lie beyond the piece. */
  get position(): number {
    return this.#before + this.#at + Math.max(0, -this.#wanted);
  }

  /** Whether the bytes so far are a whole archive: its table of contents with any number of whole data blocks. */
  get isWhole(): boolean {
    return this.#before + this.#at === this.#boundary;
  }

  /**
   * Takes the next piece.
   * @throws UnknownFormat
   */
  push(piece: Buffer): void {
    this.#piece = piece;
    this.#at = 0;
    while (this.#at < piece.length) {
      if (this.#wanted < 0) this.#passOver();
      else this.#take();
    }
    this.#before += this.#at;
    this.#at = 0;
    this.#piece = Buffer.alloc(0);
  }

  /** Passes over what is not wanted without seeing it. @returns so many bytes */
  skip(): number {
    const bytes = Math.max(0, -this.#wanted);
    this.#before += bytes;
    if (bytes > 0) this.#next(Buffer.alloc(0));
    return bytes;
  }

  #passOver(): void {
    const passed = Math.min(-this.#wanted, this.#piece.length - this.#at);
    this.#at += passed;
    this.#wanted += passed;
    if (this.#wanted === 0) this.#next(Buffer.alloc(0));
  }

  #take(): void {
    const missing = this.#wanted - this.#begun.length;
    const part = this.#piece.subarray(this.#at, this.#at + missing);
    this.#at += part.length;
    if (part.length < missing) {
      this.#begun = Buffer.concat([this.#begun, part]);
      return;
    }
    const whole = this.#begun.length === 0 ? part : Buffer.concat([this.#begun, part]);
    this.#begun = Buffer.alloc(0);
    this.#next(whole);
  }

  #next(bytes: Buffer): void {
    this.#wanted = 0;
    this.#wanted = this.#reading.next(bytes).value ?? 0;
  }
}

/** The grammar itself. */
class Grammar {
  readonly #listener: ArchiveListener;
  readonly #texts: boolean;
  #at = 0;

  constructor(listener: ArchiveListener, texts: boolean) {
    this.#listener = listener;
    this.#texts = texts;
  }

  *archive(): Reading<void> {
    const minor = yield* this.#head();
    const withData = new Set<number>();
    const count = yield* this.#int();
    for (let entry = 0; entry < count; entry += 1) {
      const read = yield* this.#entry(minor);
      if (read.state !== OFFSET_STATE.noData) withData.add(read.id);
      this.#listener.onEntry?.(read);
    }
    this.#listener.onToc?.(this.#at);
    for (;;) {
      const block = yield* this.#block();
      if (!withData.has(block.id)) throw new UnknownFormat();
      this.#listener.onBlock?.(block);
    }
  }

  *#head(): Reading<number> {
    const magic = (yield* this.#bytes(5)).toString("latin1");
    const [major, minor] = [yield* this.#byte(), yield* this.#byte()];
    yield* this.#byte(); // revision
    const sizes = [yield* this.#byte(), yield* this.#byte(), yield* this.#byte()];
    const known =
      magic === "PGDMP" &&
      major === 1 &&
      KNOWN_MINORS.includes(minor) &&
      sizes.join() === [INT_BYTES, OFFSET_BYTES, CUSTOM].join();
    if (!known) throw new UnknownFormat();
    if (minor >= 15) yield* this.#byte();
    else yield* this.#int(); // compression
    for (let part = 0; part < 7; part += 1) yield* this.#int(); // time of the dump
    for (let text = 0; text < 3; text += 1) yield* this.#text(); // database, versions of server and pg_dump
    this.#listener.onHead?.(`${major}.${minor}`, this.#at);
    return minor;
  }

  *#entry(minor: number): Reading<TocEntry> {
    const start = this.#at;
    const id = yield* this.#int();
    yield* this.#int(); // whether it has data
    yield* this.#text(); // oid of its catalog
    yield* this.#text(); // its own
    const tag = yield* this.#text();
    const type = yield* this.#text();
    const section = yield* this.#int();
    const definition = yield* this.#text();
    yield* this.#text(); // statement that drops it
    const copy = yield* this.#text();
    const schema = yield* this.#text();
    yield* this.#text(); // tablespace
    yield* this.#text(); // access method
    if (minor >= 16) yield* this.#int(); // kind of relation
    yield* this.#text(); // owner
    yield* this.#text(); // an old flag
    const needs: number[] = [];
    for (;;) {
      const need = yield* this.#text();
      if (need === null) break;
      if (this.#texts) needs.push(Number(need));
    }
    const stateAt = this.#at;
    const state = yield* this.#byte();
    yield* this.#pass(OFFSET_BYTES);
    const texts = { tag, type, definition, copy, schema };
    const known = Object.fromEntries(
      Object.entries(texts).map(([name, text]) => [name, text ?? ""]),
    );
    return {
      ...(known as Record<keyof typeof texts, string>),
      ...{ id, section, needs, state, start, end: this.#at, stateAt },
    };
  }

  *#block(): Reading<DataBlock> {
    const start = this.#at;
    const kind = yield* this.#byte();
    const id = yield* this.#int();
    let pieces = 0;
    if (kind === TABLE) pieces = yield* this.#pieces();
    else if (kind === LARGE_OBJECTS) {
      while ((yield* this.#int()) !== 0) pieces += yield* this.#pieces();
    } else throw new UnknownFormat();
    return { id, start, bytes: this.#at - start, pieces };
  }

  /** Each with its length in front; one of none is the end. */
  *#pieces(): Reading<number> {
    for (let pieces = 0; ; pieces += 1) {
      const bytes = yield* this.#int();
      if (bytes === 0) return pieces;
      if (bytes < 0) throw new UnknownFormat();
      yield* this.#pass(bytes);
    }
  }

  /** `ReadInt`: a sign, then the number, least significant byte first. */
  *#int(): Reading<number> {
    const bytes = yield* this.#bytes(1 + INT_BYTES);
    const number = bytes.readUInt32LE(1);
    return bytes.readUInt8(0) === 0 ? number : -number;
  }

  /** `ReadStr`. @returns null: there is none, which is not the same as an empty one */
  *#text(): Reading<string | null> {
    const bytes = yield* this.#int();
    if (bytes < 0) return null;
    if (bytes === 0) return "";
    if (this.#texts) return (yield* this.#bytes(bytes)).toString("latin1");
    yield* this.#pass(bytes);
    return "";
  }

  *#byte(): Reading<number> {
    return (yield* this.#bytes(1)).readUInt8(0);
  }

  *#bytes(count: number): Reading<Buffer> {
    const bytes = yield count;
    this.#at += count;
    return bytes;
  }

  *#pass(count: number): Reading<void> {
    yield -count;
    this.#at += count;
  }
}
