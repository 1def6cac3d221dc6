import { type FileHandle, open } from "node:fs/promises";

// pg_dump's custom archive format, as PostgreSQL 17 has it in src/bin/pg_dump: header and table of contents are ReadHead and
// ReadToc of pg_backup_archiver.c, numbers, texts and offsets its ReadInt, ReadStr and ReadOffset, the data blocks behind
// them _skipData of pg_backup_custom.c.

/** Format 1.14 is PostgreSQL 12's, 1.15 16's, 1.16 17's and 18's: `K_VERS_...` in pg_backup_archiver.h. */
const KNOWN_MINORS = [14, 15, 16];
/** `archCustom` of pg_backup.h. */
const CUSTOM = 1;
const [INT_BYTES, OFFSET_BYTES] = [4, 8];
/** States of an offset in the table of contents: `K_OFFSET_POS_NOT_SET` and `K_OFFSET_POS_SET` of pg_backup_archiver.h. */
const [NOT_SET, SET] = [1, 2];
/** Kinds of data block: `BLK_DATA` and `BLK_BLOBS` of pg_backup_archiver.h. */
const [TABLE, LARGE_OBJECTS] = [1, 3];
const READ_BYTES = 64 * 1024;

/**
 * Writes into an archive's table of contents where each table's data begins, which pg_dump could not because it wrote
 * into a pipe. With it `pg_restore --jobs` begins with the largest tables instead of the first ones, and each of its
 * workers goes straight to its data instead of reading its way there. The file is then, byte for byte, what pg_dump writes
 * itself where it can go back.
 * @param file whole archive in custom format
 * @returns false when it is not an archive as it is known here, or is not whole; then the file is as it was, and pg_restore
 * reports what is wrong with it
 */
export async function fillOffsets(file: string): Promise<boolean> {
  const handle = await open(file, "r+");
  try {
    const reader = new Reader(handle);
    const fields = await findOffsetFields(reader);
    for (const [id, offset] of await findDataOffsets(reader, fields)) {
      const field = Buffer.alloc(1 + OFFSET_BYTES);
      field.writeUInt8(SET);
      field.writeBigUInt64LE(BigInt(offset), 1);
      await handle.write(field, 0, field.length, fields.get(id) ?? null);
    }
    return true;
  } catch (error) {
    if (error instanceof UnknownFormat) return false;
    throw error;
  } finally {
    await handle.close();
  }
}

class UnknownFormat extends Error {}

/** Where the offset field stands of each entry that has data, but no offset yet. */
async function findOffsetFields(reader: Reader): Promise<Map<number, number>> {
  const magic = Buffer.alloc(5);
  for (let at = 0; at < magic.length; at += 1) magic[at] = await reader.byte();
  const [major, minor] = [await reader.byte(), await reader.byte()];
  await reader.byte(); // revision
  const sizes = [await reader.byte(), await reader.byte(), await reader.byte()];
  const known =
    magic.toString() === "PGDMP" &&
    major === 1 &&
    KNOWN_MINORS.includes(minor) &&
    sizes.join() === [INT_BYTES, OFFSET_BYTES, CUSTOM].join();
  if (!known) throw new UnknownFormat();
  if (minor >= 15) await reader.byte();
  else await reader.int(); // compression
  for (let part = 0; part < 7; part += 1) await reader.int(); // time of the dump
  for (let text = 0; text < 3; text += 1) await reader.text(); // database, versions of server and pg_dump

  const fields = new Map<number, number>();
  const entries = await reader.int();
  for (let entry = 0; entry < entries; entry += 1) {
    const id = await reader.int();
    await reader.int(); // whether it has data
    for (let text = 0; text < 4; text += 1) await reader.text(); // oids, tag, kind
    await reader.int(); // section
    for (let text = 0; text < 6; text += 1) await reader.text(); // statements, schema, tablespace, access method
    if (minor >= 16) await reader.int(); // kind of relation
    for (let text = 0; text < 2; text += 1) await reader.text(); // owner, an old flag
    while (await reader.text()); // what it depends on
    const field = reader.position;
    if ((await reader.byte()) === NOT_SET) fields.set(id, field);
    reader.skip(OFFSET_BYTES);
  }
  return fields;
}

/** Where the data of each entry begins. */
async function findDataOffsets(
  reader: Reader,
  fields: ReadonlyMap<number, number>,
): Promise<Map<number, number>> {
  const offsets = new Map<number, number>();
  while (!(await reader.atEnd())) {
    const offset = reader.position;
    const kind = await reader.byte();
    const id = await reader.int();
    if (!fields.has(id)) throw new UnknownFormat();
    if (kind === TABLE) await skipDataBlocks(reader);
    else if (kind === LARGE_OBJECTS)
      while ((await reader.int()) !== 0) await skipDataBlocks(reader);
    else throw new UnknownFormat();
    offsets.set(id, offset);
  }
  return offsets;
}

/** Each with its length in front; one of none is the end. */
async function skipDataBlocks(reader: Reader): Promise<void> {
  for (;;) {
    const bytes = reader.nextInt() ?? (await reader.int());
    if (bytes === 0) return;
    if (bytes < 0) throw new UnknownFormat();
    reader.skip(bytes);
  }
}

/** Reads the archive's own forms of numbers and texts, from a window on the file. */
class Reader {
  readonly #handle: FileHandle;
  readonly #buffer = Buffer.alloc(READ_BYTES);
  #window = this.#buffer.subarray(0, 0);
  /** Where in the file the window begins, and where in the window the next byte is. */
  #start = 0;
  #at = 0;

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  get position(): number {
    return this.#start + this.#at;
  }

  skip(bytes: number): void {
    this.#at += bytes;
  }

  async atEnd(): Promise<boolean> {
    if (this.#at >= this.#window.length) await this.#move();
    return this.#window.length === 0;
  }

  async byte(): Promise<number> {
    await this.#need(1);
    this.#at += 1;
    return this.#window.readUInt8(this.#at - 1);
  }

  /** `ReadInt`: a sign, then the number, least significant byte first. */
  async int(): Promise<number> {
    await this.#need(1 + INT_BYTES);
    return this.nextInt() as number;
  }

  /** The same when it lies within the window, else undefined: old dumps have a piece for each row. */
  nextInt(): number | undefined {
    if (this.#at + 1 + INT_BYTES > this.#window.length) return undefined;
    const number = this.#window.readUInt32LE(this.#at + 1);
    const negative = this.#window.readUInt8(this.#at) !== 0;
    this.#at += 1 + INT_BYTES;
    return negative ? -number : number;
  }

  /** Skips a text, `ReadStr`. @returns false when there is none, which is not the same as an empty one */
  async text(): Promise<boolean> {
    const bytes = await this.int();
    if (bytes > 0) this.skip(bytes);
    return bytes >= 0;
  }

  async #need(bytes: number): Promise<void> {
    if (this.#at + bytes <= this.#window.length) return;
    await this.#move();
    if (this.#window.length < bytes) throw new UnknownFormat();
  }

  /** The window to where the next byte is. */
  async #move(): Promise<void> {
    this.#start = this.position;
    this.#at = 0;
    const { bytesRead } = await this.#handle.read(this.#buffer, 0, READ_BYTES, this.#start);
    this.#window = this.#buffer.subarray(0, bytesRead);
  }
}
