import type { ServerSettings } from "../../../common/contracts/agentEnvironment/postgres.ts";
import { BadBackup, Problem } from "../../../common/problem.ts";
import { type DecodeResult, type Decoder, decodeInto, failedOnData } from "../../archive/decode.ts";
import { connectionString, libpqEnvironment } from "../../postgres/connection.ts";
import { describeExit, readText, runPipeline, SIGPIPE } from "../../streams/process.ts";
import { restoreFailure } from "./failure.ts";
import {
  RestoreOutput,
  type TableProgress,
  UNTRANSLATED,
  VERBOSE_RESTORE,
} from "./pgRestoreOutput.ts";
import type { StatementError } from "./statementErrors.ts";

/** How one run of `pg_restore` ended. */
export interface RestoreResult {
  /** Absent: it ended well, or went on past its errors to the end. */
  readonly failure?: Problem;
  /** What it went past; none without `keepGoing`. */
  readonly errors: readonly StatementError[];
}

/** What was read from the bucket beside that. */
export interface LoadResult
  extends RestoreResult,
    Pick<DecodeResult, "bytes" | "sha256" | "whole"> {}

/** One run of `pg_restore`. */
export interface RestoreRun {
  /** Database to fill. */
  readonly database: string;
  /** Words for pg_restore beside the database. */
  readonly words: readonly string[];
  /** Goes on after an error, to the end of the archive. @default false */
  readonly keepGoing?: boolean;
  /** Needs only the start of the archive, so that the rest may stay unread. @default false */
  readonly startOnly?: boolean;
  readonly signal: AbortSignal;
  readonly onTable: (progress: TableProgress) => void;
}

/**
 * Streams an archive through its decoder into `pg_restore`; nothing touches a disk on the way.
 * @param source bytes as stored
 * @param onBytes called with the number of bytes read so far
 * @throws what the source or the decryption throws; the programs' own failure is in the result, because a damaged object
 * explains it better
 */
export async function loadStream(
  settings: ServerSettings,
  source: AsyncIterable<Buffer>,
  decoder: Decoder,
  run: RestoreRun & { readonly onBytes: (bytes: number) => void },
): Promise<LoadResult> {
  const output = new RestoreOutput(run.onTable);
  const loaded = await decodeInto(source, decoder, VERBOSE_RESTORE, {
    args: restoreArguments(run),
    env: { ...libpqEnvironment(settings), ...UNTRANSLATED },
    signal: run.signal,
    onBytes: run.onBytes,
    onOutput: (text) => output.read(text),
    failure: () => output.failure(),
  });
  const failure = explainLoad(loaded, output, decoder.program, run);
  return { ...loaded, errors: output.errors.all, ...(failure !== undefined && { failure }) };
}

/** Restores an archive that lies in a file. */
export async function loadFile(
  settings: ServerSettings,
  file: string,
  run: RestoreRun,
): Promise<RestoreResult> {
  const output = new RestoreOutput(run.onTable);
  const pipeline = runPipeline(":", VERBOSE_RESTORE, {
    args: [...restoreArguments(run), file],
    env: { ...libpqEnvironment(settings), ...UNTRANSLATED },
    stdin: "ignore",
  });
  const printed = readText(pipeline.stdout, (text) => output.read(text));
  const stop = () => pipeline.kill();
  run.signal.addEventListener("abort", stop, { once: true });
  try {
    const { second } = await pipeline.ended;
    await printed;
    run.signal.throwIfAborted();
    const failure = second.code === 0 ? undefined : restoreFailure(second, output);
    const { wentOn, all } = output.errors;
    return { errors: all, ...(failure !== undefined && !wentOn && { failure }) };
  } finally {
    run.signal.removeEventListener("abort", stop);
    pipeline.kill();
  }
}

function restoreArguments({ database, words, keepGoing }: RestoreRun): string[] {
  return [
    ...(keepGoing === true ? [] : ["--exit-on-error"]),
    ...words,
    "--no-password",
    `--dbname=${connectionString(database)}`,
  ];
}

function explainLoad(
  { first, second, whole }: DecodeResult,
  output: RestoreOutput,
  program: string,
  { startOnly }: RestoreRun,
): Problem | undefined {
  const failed = second.code !== 0 ? restoreFailure(second, output) : undefined;
  const loaded = failed === undefined || output.errors.wentOn;
  if (startOnly === true && loaded && (first.code === 0 || first.code === SIGPIPE)) {
    return undefined;
  }
  if (first.code === 0 && loaded) {
    if (whole) return undefined;
    return new BadBackup("pg_restore was done before the object had been read to its end.");
  }
  if (failedOnData(first)) return new BadBackup(`${describeExit(program, first)}.`);
  if (loaded) return new Problem(`${describeExit(program, first)}.`);
  return failed;
}
