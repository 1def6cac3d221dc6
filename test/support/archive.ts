/** A custom-format archive without the time at which it was made: seven numbers, of five bytes each, in its head. */
export function untimed(archive: Buffer): Buffer {
  const minor = archive.readUInt8(6);
  const start = minor >= 15 ? 12 : 16;
  return Buffer.from(archive).fill(0, start, start + 7 * 5);
}

/** An entry of an archive that a test makes up, and its data in pieces; without data it has none. */
export interface MadeEntry {
  readonly id: number;
  readonly type?: string;
  readonly needs?: readonly number[];
  readonly data?: readonly Buffer[];
  /** `SECTION_...` of pg_backup.h. @default that of data, or of what stands before it */
  readonly section?: number;
  readonly definition?: string;
}

/** A custom-format archive as pg_dump writes it into a pipe: format 1.16, of PostgreSQL 17. */
export function madeArchive(entries: readonly MadeEntry[]): Buffer {
  const head = [Buffer.from("PGDMP"), Buffer.from([1, 16, 0, 4, 8, 1, 3])];
  const time = Array.from({ length: 7 }, () => int(1));
  const names = ["shop", "17.6", "17.6"].map(text);
  const blocks = entries.flatMap(({ id, data }) => {
    if (data === undefined) return [];
    return [
      Buffer.from([1]),
      int(id),
      ...data.flatMap((piece) => [int(piece.length), piece]),
      int(0),
    ];
  });
  return Buffer.concat([
    ...head,
    ...time,
    ...names,
    int(entries.length),
    ...entries.map(entryBytes),
    ...blocks,
  ]);
}

function entryBytes({
  id,
  type = "TABLE DATA",
  needs = [],
  data,
  section,
  definition = "",
}: MadeEntry): Buffer {
  const copy = data === undefined ? null : `COPY public.t${id} (i) FROM stdin;\n`;
  return Buffer.concat([
    ...[
      int(id),
      int(data === undefined ? 0 : 1),
      text("0"),
      text(String(id)),
      text(`t${id}`),
      text(type),
    ],
    ...[
      int(section ?? (data === undefined ? 2 : 3)),
      text(definition),
      text(""),
      text(copy),
      text("public"),
    ],
    ...[text(null), text(null), int(0), text("app"), text("false")],
    ...[...needs.map((need) => text(String(need))), text(null)],
    ...[Buffer.from([data === undefined ? 3 : 1]), Buffer.alloc(8)],
  ]);
}

function int(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes[0] = value < 0 ? 1 : 0;
  bytes.writeUInt32LE(Math.abs(value), 1);
  return bytes;
}

function text(value: string | null): Buffer {
  return value === null
    ? int(-1)
    : Buffer.concat([int(Buffer.byteLength(value)), Buffer.from(value)]);
}
