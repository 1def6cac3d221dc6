import type { ServerSettings } from "../../../common/contracts/agentEnvironment/postgres.ts";
import { Problem } from "../../../common/problem.ts";
import { type DecodeResult, type Decoder, decodeInto, failedOnData } from "../../archive/decode.ts";
import { connectionString, libpqEnvironment } from "../../postgres/connection.ts";
import { describeExit } from "../../streams/process.ts";
import { restoreFailure } from "./failure.ts";
import {
  RestoreOutput,
  type TableProgress,
  UNTRANSLATED,
  VERBOSE_RESTORE,
} from "./pgRestoreOutput.ts";

/** What was read from the bucket; `failure` is undefined when both programs ended with 0. */
export interface LoadResult extends Pick<DecodeResult, "bytes" | "sha256" | "whole"> {
  readonly failure?: Problem;
}

/**
 * Streams an archive through its decoder into `pg_restore`; nothing touches a disk on the way.
 * @param source bytes as stored
 * @param database empty database to fill
 * @param onBytes called with the number of bytes read so far
 * @throws what the source or the decryption throws; the programs' own failure is in the result, because a damaged object
 * explains it better
 */
export async function loadStream(
  settings: ServerSettings,
  source: AsyncIterable<Buffer>,
  decoder: Decoder,
  options: {
    readonly database: string;
    readonly signal: AbortSignal;
    readonly onBytes: (bytes: number) => void;
    readonly onTable: (progress: TableProgress) => void;
  },
): Promise<LoadResult> {
  const { database, signal, onBytes, onTable } = options;
  const output = new RestoreOutput(onTable);
  const loaded = await decodeInto(source, decoder, VERBOSE_RESTORE, {
    args: restoreArguments(database),
    env: { ...libpqEnvironment(settings), ...UNTRANSLATED },
    signal,
    onBytes,
    onOutput: (text) => output.read(text),
    failure: () => output.failure(),
  });
  const failure = explainLoad(loaded, output, decoder.program);
  return { ...loaded, ...(failure !== undefined && { failure }) };
}

/** Words for `pg_restore` into an empty database. */
export function restoreArguments(database: string): string[] {
  return ["--exit-on-error", "--no-password", `--dbname=${connectionString(database)}`];
}

function explainLoad(
  { first, second, whole }: DecodeResult,
  output: RestoreOutput,
  program: string,
): Problem | undefined {
  if (first.code === 0 && second.code === 0) {
    if (whole) return undefined;
    return new Problem("pg_restore was done before the object had been read to its end.");
  }
  if (failedOnData(first) || second.code === 0) {
    return new Problem(`${describeExit(program, first)}.`);
  }
  return restoreFailure(second, output);
}
