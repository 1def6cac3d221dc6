import { readDumpOptions } from "../../common/contracts/agentEnvironment/dumpOptions.ts";
import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import type { ServerSettings } from "../../common/contracts/agentEnvironment/postgres.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import { adviceFor } from "../postgres/brokenConnection.ts";
import {
  connectionString,
  LOCK_TIMEOUT,
  libpqEnvironment,
  watchServer,
} from "../postgres/connection.ts";
import {
  describeExit,
  type Pipeline,
  type Program,
  runPipeline,
  runProgram,
} from "../streams/process.ts";
import { UNTRANSLATED } from "../streams/toolWarnings.ts";

/** Who compresses a dump: pg_dump itself, or zstd behind it. */
export type DumpCompression = Exclude<Manifest["compression"], "none">;

/** pg_dump compresses with zstd itself since this major: https://www.postgresql.org/docs/release/16.0/ */
const ZSTD_SINCE = 16;

/** How a pg_dump of this major has its archive compressed. Always zstd: an eighth of zlib's work, and smaller. */
export function compressionFor(major: number): DumpCompression {
  return major >= ZSTD_SINCE ? "pg_dump-zstd" : "zstd";
}

/**
 * Splits `PGDUMP_EXTRA_OPTS` at white space, as the old image's shell did.
 * @throws Problem for an option that would make another kind of archive or connect elsewhere
 */
export function parseExtraOptions(text: string): string[] {
  const options = readDumpOptions(text);
  if ("fault" in options) throw new Problem(`PGDUMP_EXTRA_OPTS ${options.fault}`);
  return options.words;
}

/**
 * Starts the dump of a snapshot. Where pg_dump can compress, it does, which spares a program, and the whole archive's
 * way through a pipe; its output reads back with `pg_restore`. Elsewhere `zstd` runs behind it: `zstd -d | pg_restore`.
 */
export function startDump(
  { postgres, compressionLevel }: Pick<AgentSettings, "postgres" | "compressionLevel">,
  {
    snapshotId,
    compression,
    onStderr,
  }: {
    readonly snapshotId: string;
    readonly compression: DumpCompression;
    readonly onStderr: (text: string) => void;
  },
): Program | Pipeline {
  const compressesItself = compression === "pg_dump-zstd";
  const options = {
    args: dumpArguments(postgres, [
      `--compress=${compressesItself ? `zstd:${compressionLevel}` : "0"}`,
      `--snapshot=${snapshotId}`,
    ]),
    env: { ...libpqEnvironment(postgres), ...UNTRANSLATED },
    stdin: "ignore",
    onStderr,
  } as const;
  // By itself it writes 4 KiB at a time, and every piece wakes this process up.
  if (compressesItself) return runProgram('exec nice -n 10 stdbuf -o256K pg_dump "$@"', options);
  const zstd = `nice -n 10 zstd -q -${compressionLevel} -T1 -c`;
  return runPipeline('nice -n 10 pg_dump "$@"', zstd, options);
}

/** Options of pg_dump and pg_restore that leave owners and grants out: their roles are those of one server. */
export const WITHOUT_OWNERS = ["--no-owner", "--no-privileges"];

/**
 * Starts a dump of the database as SQL. It goes where this process's own output goes, without passing through it: whoever
 * reads slowly slows pg_dump.
 */
export function startSqlDump(settings: ServerSettings, noOwner: boolean): Program {
  return runProgram('exec nice -n 10 pg_dump "$@"', {
    args: dumpArguments(settings, [...(noOwner ? WITHOUT_OWNERS : [])], "plain"),
    env: { ...libpqEnvironment(settings), ...UNTRANSLATED },
    stdin: "ignore",
    stdout: "inherit",
  });
}

/** What is in a dump, by its table of contents. */
export interface DumpContents {
  /** Oids of the tables that are defined in it. */
  readonly defined: ReadonlySet<number>;
  /** Oids of the tables whose rows are in it. */
  readonly filled: ReadonlySet<number>;
  readonly largeObjects: boolean;
  /** Every entry without the number that this dump has given it, and how often: `1259 16386 TABLE public accounts owner`. */
  readonly entries: ReadonlyMap<string, number>;
}

/**
 * What a dump with these options would hold: the table of contents stands at the start of the stream, so only that much
 * is dumped. Needed because the options may leave tables out, which then must not be counted.
 * @param lockWait longest wait for a table's lock
 */
export async function listDumpContents(
  settings: ServerSettings,
  lockWait = LOCK_TIMEOUT,
): Promise<DumpContents> {
  const pipeline = runPipeline('nice -n 10 pg_dump "$@"', "pg_restore --list", {
    // Of two that say the same the last one counts.
    args: dumpArguments(settings, ["--compress=0", `--lock-wait-timeout=${lockWait}`]),
    env: libpqEnvironment(settings),
    stdin: "ignore",
  });
  const server = watchServer(settings);
  server.signal.addEventListener("abort", () => pipeline.kill(), { once: true });
  let text = "";
  try {
    for await (const chunk of pipeline.stdout.setEncoding("utf8")) text += chunk;
  } catch (error) {
    server.signal.throwIfAborted();
    throw error;
  } finally {
    server.stop();
  }
  const { first, second } = await pipeline.ended;
  // pg_dump may be cut by the closed pipe after the table of contents: only pg_restore's own result counts here.
  if (second.code !== 0) {
    const cause = first.code === 0 ? describeExit("pg_restore", second) : dumpFailure(first);
    throw new Problem(`the dump's contents cannot be listed: ${cause}`);
  }
  return parseContents(text);
}

/**
 * Reads `pg_restore --list`, as PrintTOCSummary of PostgreSQL 17's pg_backup_archiver.c writes it: `3350; 0 16386 TABLE DATA
 * public accounts owner`, the third number being the table's oid, the second one that of `pg_class` where it is defined.
 */
export function parseContents(list: string): DumpContents {
  const defined = new Set<number>();
  const filled = new Set<number>();
  const entries = new Map<string, number>();
  for (const line of list.split("\n")) {
    const [, entry, catalog, oid, what = ""] = /^\d+; ((\d+) (\d+) (.*))$/.exec(line) ?? [];
    if (entry === undefined) continue;
    if (catalog === "1259" && what.startsWith("TABLE ")) defined.add(Number(oid));
    if (catalog === "0" && what.startsWith("TABLE DATA ")) filled.add(Number(oid));
    // There may be millions of them.
    const key = /^BLOB (?!METADATA)/.test(what) ? "BLOB" : entry;
    entries.set(key, (entries.get(key) ?? 0) + 1);
  }
  return { defined, filled, largeObjects: /^\d+; \d+ \d+ BLOBS /m.test(list), entries };
}

/** SIGKILL as a shell reports it: what the kernel does to a program when the container's memory is used up. */
const KILLED = 137;

/** How pg_dump ended, with its last words. */
export function dumpFailure(exit: { readonly code: number | null; readonly stderr: string }) {
  const described = describeExit("pg_dump", exit);
  const advice = adviceFor(exit.stderr);
  if (advice !== "") return `${described}. ${advice.replace(/\.$/, "")}`;
  return exit.code === KILLED
    ? `${described}; unless someone did that, the container's memory was too small, so raise the setting "memory"`
    : described;
}

function dumpArguments(
  settings: ServerSettings,
  more: readonly string[],
  format: "custom" | "plain" = "custom",
): string[] {
  return [
    `--lock-wait-timeout=${LOCK_TIMEOUT}`,
    ...parseExtraOptions(settings.dumpOptions),
    `--format=${format}`,
    "--no-password",
    ...more,
    `--dbname=${connectionString(settings.database)}`,
  ];
}
