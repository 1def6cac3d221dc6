import type { Manifest } from "../../common/contracts/manifest.ts";

/** Who compresses a dump: pg_dump itself, or zstd behind it. */
export type DumpCompression = Exclude<Manifest["compression"], "none">;

/** pg_dump compresses with zstd itself since this major: https://www.postgresql.org/docs/release/16.0/ */
const ZSTD_SINCE = 16;

/** How a pg_dump of this major has its archive compressed. Always zstd: an eighth of zlib's work, and smaller. */
export function compressionFor(major: number): DumpCompression {
  return major >= ZSTD_SINCE ? "pg_dump-zstd" : "zstd";
}
