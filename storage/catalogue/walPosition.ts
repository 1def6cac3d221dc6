/** Segments are numbered anew after so many bytes: the middle and the last third of a segment's name. */
const BYTES_OF_A_LOG = 0x1_0000_0000n;

/** Where a segment of WAL lies. */
export interface SegmentPlace {
  readonly timeline: number;
  /** Its first byte. */
  readonly from: bigint;
  /** The first byte behind it. */
  readonly to: bigint;
}

/** A place in the WAL as a number of bytes. @param lsn as PostgreSQL writes it, `16/B374D848` */
export function walBytes(lsn: string): bigint {
  const [log = "", offset = ""] = lsn.split("/");
  return (BigInt(`0x${log}`) << 32n) + BigInt(`0x${offset}`);
}

/** The same as PostgreSQL writes it. @example "16/B374D848" */
export function lsnText(bytes: bigint): string {
  return `${hex(bytes >> 32n)}/${hex(bytes & 0xffff_ffffn)}`;
}

/** The first byte of the segment that has this place. */
export function segmentStart(place: bigint, segmentBytes: number): bigint {
  return place - (place % BigInt(segmentBytes));
}

/** Name of the segment that has this place: 24 hexadecimal digits, as `pg_walfile_name` has it. */
export function segmentName(timeline: number, place: bigint, segmentBytes: number): string {
  const number = place / BigInt(segmentBytes);
  const ofALog = BYTES_OF_A_LOG / BigInt(segmentBytes);
  return [BigInt(timeline), number / ofALog, number % ofALog]
    .map((part) => hex(part).padStart(8, "0"))
    .join("");
}

/** The place of a segment by its name. */
export function segmentPlace(name: string, segmentBytes: number): SegmentPlace {
  const [timeline = 0n, log = 0n, number = 0n] = [0, 8, 16].map((at) =>
    BigInt(`0x${name.slice(at, at + 8)}`),
  );
  const from = log * BYTES_OF_A_LOG + number * BigInt(segmentBytes);
  return { timeline: Number(timeline), from, to: from + BigInt(segmentBytes) };
}

function hex(value: bigint): string {
  return value.toString(16).toUpperCase();
}
