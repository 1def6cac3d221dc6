import { createHash } from "node:crypto";
import type { Writable } from "node:stream";
import { Problem } from "../storage/problem.ts";
import type { PostgresSettings } from "./database.ts";
import { libpqEnvironment } from "./database.ts";
import { connectionString } from "./dump.ts";
import { describeEnding, type Ending, type Pipeline, runPipeline } from "./pipeline.ts";

const SIGPIPE = 141;

/** What was read from the bucket, and how the programs behind it ended. */
export interface Loaded {
  /** Bytes read; the whole object unless pg_restore gave up first. */
  readonly bytes: number;
  readonly sha256: string;
  /** False when reading stopped early, because pg_restore had failed: then the two above say nothing. */
  readonly whole: boolean;
  /** Undefined: both programs ended with 0. */
  readonly failure?: Problem;
}

/**
 * Streams an archive through the decompressor into `pg_restore`; nothing touches a disk on the way.
 * @param source bytes as stored
 * @param compression `none`: pg_dump's own archive, as the old image wrote it
 * @param database empty database to fill
 * @param onBytes told the number of bytes read so far
 * @throws what the source throws; the programs' own failure is in the result, because a damaged object explains it better
 */
export async function load(
  settings: PostgresSettings,
  source: AsyncIterable<Buffer>,
  options: {
    readonly compression: "zstd" | "none";
    readonly database: string;
    readonly signal: AbortSignal;
    readonly onBytes: (bytes: number) => void;
  },
): Promise<Loaded> {
  const pipeline = runPipeline(
    options.compression === "zstd" ? "zstd -q -d -c" : "cat",
    'pg_restore "$@"',
    {
      args: ["--exit-on-error", "--no-password", `--dbname=${connectionString(options.database)}`],
      env: libpqEnvironment(settings),
      stdin: "pipe",
    },
  );
  const stop = () => pipeline.kill();
  options.signal.addEventListener("abort", stop, { once: true });
  // pg_restore has nothing to say, but a full pipe would block it.
  pipeline.stdout.resume();
  try {
    const read = await feed(pipeline, source, options.onBytes);
    options.signal.throwIfAborted();
    const failure = explainLoad(await pipeline.ended, options.compression, read.whole);
    return { ...read, ...(failure !== undefined && { failure }) };
  } catch (error) {
    // The killed programs and the closed stream have errors of their own; the reason for stopping is the cause.
    options.signal.throwIfAborted();
    throw error;
  } finally {
    options.signal.removeEventListener("abort", stop);
    pipeline.kill();
    await pipeline.ended;
  }
}

async function feed(
  { stdin, ended }: Pipeline,
  source: AsyncIterable<Buffer>,
  onBytes: (bytes: number) => void,
) {
  if (stdin === null) throw new Error("the pipeline has no input");
  const hash = createHash("sha256");
  let bytes = 0;
  // EPIPE: the reader is gone; its exit code says why.
  stdin.on("error", () => {});
  for await (const chunk of source) {
    hash.update(chunk);
    bytes += chunk.length;
    onBytes(bytes);
    if (!stdin.destroyed) {
      if (!stdin.write(chunk)) await drained(stdin);
    } else if (!brokenByData((await ended).first)) {
      return { bytes, sha256: hash.digest("hex"), whole: false };
    }
  }
  stdin.end();
  return { bytes, sha256: hash.digest("hex"), whole: true };
}

/** Until more can be written or never will be: a program that ends closes its input without an error. */
function drained(stdin: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stdin.off("drain", done).off("close", done);
      resolve();
    };
    stdin.on("drain", done).on("close", done);
  });
}

/** Whether a text of PostgreSQL's says that the server's disk is full. */
export function isFullDisk(text: string): boolean {
  return /No space left on device|could not extend file/.test(text);
}

/** The decompressor choked on the data itself, so the object's digest, read to its end, is the better explanation. */
function brokenByData(first: Ending): boolean {
  return first.code !== 0 && first.code !== SIGPIPE;
}

function explainLoad(
  { first, second }: { first: Ending; second: Ending },
  compression: "zstd" | "none",
  whole: boolean,
): Problem | undefined {
  if (first.code === 0 && second.code === 0) {
    if (whole) return undefined;
    return new Problem("pg_restore was done before the object had been read to its end.");
  }
  const reader = compression === "zstd" ? "zstd" : "cat";
  const cause =
    brokenByData(first) || second.code === 0
      ? describeEnding(reader, first)
      : describeEnding("pg_restore", second);
  const advice = isFullDisk(second.stderr)
    ? " The database server's disk is full: a restore needs room for a second copy of the database. Free some space, or drop an old <database>_before_... first."
    : "";
  return new Problem(`${cause}.${advice}`);
}
