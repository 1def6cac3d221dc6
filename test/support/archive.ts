/** A custom-format archive without the time at which it was made: seven numbers, of five bytes each, in its head. */
export function untimed(archive: Buffer): Buffer {
  const minor = archive.readUInt8(6);
  const copy = Buffer.from(archive);
  return copy.fill(0, minor >= 15 ? 12 : 16, (minor >= 15 ? 12 : 16) + 7 * 5);
}
