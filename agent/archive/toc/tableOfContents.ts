import { ArchiveParser, OFFSET_STATE, type TocEntry, UnknownFormat } from "./grammar.ts";

/** Settings of the whole archive, which pg_restore takes from it wherever they stand: _tocEntryRequired of pg_backup_archiver.c. */
const SETTINGS = /^(?:ENCODING|STDSTRINGS|SEARCHPATH)$/;

/** The table of contents of an archive, of which smaller ones are made. */
export class TableOfContents {
  /** `1.16` */
  readonly format: string;
  readonly entries: readonly TocEntry[];
  readonly bytes: Buffer;
  readonly #headBytes: number;

  /**
   * @param bytes of the archive, from its first to the last before its data
   * @throws UnknownFormat
   */
  constructor(bytes: Buffer) {
    const entries: TocEntry[] = [];
    let head: { readonly format: string; readonly countAt: number } | undefined;
    const parser = new ArchiveParser(
      {
        onHead: (format, countAt) => {
          head = { format, countAt };
        },
        onEntry: (entry) => entries.push(entry),
      },
      { texts: true },
    );
    parser.push(bytes);
    if (head === undefined || !parser.isWhole) throw new UnknownFormat();
    this.format = head.format;
    this.#headBytes = head.countAt;
    this.entries = entries;
    this.bytes = bytes;
  }

  /**
   * The start of an archive of these entries alone. What they need and is not there pg_restore takes for granted
   * (fix_dependencies). The data of those that have some must follow, in the order of the entries here.
   */
  cut(wanted: (entry: TocEntry) => boolean): Buffer {
    const chosen = this.entries.filter((entry) => SETTINGS.test(entry.type) || wanted(entry));
    const count = Buffer.alloc(5);
    count.writeUInt32LE(chosen.length, 1);
    const parts = chosen.map(({ start, end, stateAt, state }) => {
      const entry = Buffer.from(this.bytes.subarray(start, end));
      // One that is marked as without data would be passed over with exit code 0, and its rows be lost.
      if (state !== OFFSET_STATE.noData)
        entry.fill(0, stateAt - start).writeUInt8(OFFSET_STATE.notSet, stateAt - start);
      return entry;
    });
    return Buffer.concat([this.bytes.subarray(0, this.#headBytes), count, ...parts]);
  }
}

/** Whether an entry has rows or large objects behind the table of contents. */
export function hasData({ state }: TocEntry): boolean {
  return state !== OFFSET_STATE.noData;
}
