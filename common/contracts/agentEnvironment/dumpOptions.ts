/**
 * Options that change what the stream is or where it goes; what slips through in another spelling is overridden, because
 * the agent's own options come last. The rest of `PGDUMP_EXTRA_OPTS` chooses what is dumped.
 */
const REFUSED_SHORT = /^-[FfjZdhpUW]/;
const REFUSED_LONG = new Set([
  "format",
  "file",
  "jobs",
  "compress",
  "snapshot",
  "dbname",
  "host",
  "port",
  "username",
  "password",
]);
/** What users of the old image have written and what the agent does in any case. */
const REDUNDANT = new Set(["-Fc", "--format=custom", "--format=c", "-w", "--no-password"]);

/**
 * Reads `PGDUMP_EXTRA_OPTS`, split at white space, as the old image's shell did.
 * @returns the words for pg_dump; or why they cannot be taken, as the end of a sentence that begins with their name
 */
export function readDumpOptions(text: string): { words: string[] } | { fault: string } {
  const words = text.split(/\s+/).filter((word) => word !== "" && !REDUNDANT.has(word));
  for (const word of words) {
    const long = /^--([a-z-]+)/.exec(word)?.[1];
    if (REFUSED_SHORT.test(word) || (long !== undefined && REFUSED_LONG.has(long))) {
      return {
        fault: `has "${word}", which the backup sets itself (custom format, zstd, one stream, the settings' server). Remove it; options that choose what is dumped, such as --exclude-table, are fine.`,
      };
    }
  }
  return { words };
}
