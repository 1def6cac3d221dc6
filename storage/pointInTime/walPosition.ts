/**
 * A place in the WAL as a number of bytes. Exact below 2^53, which is 8 PiB of WAL.
 * @param lsn as PostgreSQL writes it. @example "16/B374D848"
 */
export function positionOf(lsn: string): number {
  const [high = "", low = ""] = lsn.split("/");
  return Number.parseInt(high, 16) * 2 ** 32 + Number.parseInt(low, 16);
}

/** The same place as PostgreSQL writes it. */
export function lsnOf(position: number): string {
  const hex = (part: number) => part.toString(16).toUpperCase();
  return `${hex(Math.floor(position / 2 ** 32))}/${hex(position % 2 ** 32)}`;
}

/**
 * Name of the segment with this number: of the first segment of all WAL it is 0.
 * PostgreSQL's XLogFileName: eight digits each of timeline, and of the number in units of 4 GiB and the rest.
 */
export function segmentName(timeline: number, number: number, segmentBytes: number): string {
  const perId = 2 ** 32 / segmentBytes;
  return [timeline, Math.floor(number / perId), number % perId]
    .map((part) => part.toString(16).toUpperCase().padStart(8, "0"))
    .join("");
}

/** Timeline and number of a segment by its name of 24 hexadecimal digits. */
export function parseSegment(
  file: string,
  segmentBytes: number,
): { readonly timeline: number; readonly number: number } {
  const part = (index: number) => Number.parseInt(file.slice(8 * index, 8 * index + 8), 16);
  return { timeline: part(0), number: part(1) * (2 ** 32 / segmentBytes) + part(2) };
}
