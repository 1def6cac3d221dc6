/** A custom-format archive without the time at which it was made: seven numbers, of five bytes each, in its head. */
export function untimed(archive: Buffer): Buffer {
  const minor = archive.readUInt8(6);
  const start = minor >= 15 ? 12 : 16;
  return Buffer.from(archive).fill(0, start, start + 7 * 5);
}
