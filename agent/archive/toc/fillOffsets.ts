import { type FileHandle, open } from "node:fs/promises";
import { ArchiveParser, OFFSET_BYTES, OFFSET_STATE, UnknownFormat } from "./grammar.ts";

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
    for (const { field, offset } of await findOffsets(handle)) {
      const bytes = Buffer.alloc(1 + OFFSET_BYTES);
      bytes.writeUInt8(OFFSET_STATE.set);
      bytes.writeBigUInt64LE(BigInt(offset), 1);
      await handle.write(bytes, 0, bytes.length, field);
    }
    return true;
  } catch (error) {
    if (error instanceof UnknownFormat) return false;
    throw error;
  } finally {
    await handle.close();
  }
}

/** Where the data of each entry begins, and where in the table of contents that is to be said. */
async function findOffsets(handle: FileHandle): Promise<{ field: number; offset: number }[]> {
  const fields = new Map<number, number>();
  const offsets: { field: number; offset: number }[] = [];
  const parser = new ArchiveParser({
    onEntry: ({ id, state, stateAt }) => {
      if (state === OFFSET_STATE.notSet) fields.set(id, stateAt);
    },
    onBlock: ({ id, start }) => {
      const field = fields.get(id);
      if (field === undefined) throw new UnknownFormat();
      offsets.push({ field, offset: start });
    },
  });
  const window = Buffer.alloc(READ_BYTES);
  for (;;) {
    const { bytesRead } = await handle.read(window, 0, READ_BYTES, parser.position);
    if (bytesRead === 0) break;
    parser.skip();
    parser.push(window.subarray(0, bytesRead));
  }
  if (!parser.isWhole) throw new UnknownFormat();
  return offsets;
}
