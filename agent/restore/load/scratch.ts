import { availableParallelism } from "node:os";
import type { ServerSettings } from "../../../common/contracts/agentEnvironment/postgres.ts";
import { Problem } from "../../../common/problem.ts";
import { type DecodeResult, type Decoder, decodeInto, failedOnData } from "../../archive/decode.ts";
import { fillOffsets } from "../../archive/tocOffsets.ts";
import { libpqEnvironment } from "../../postgres/connection.ts";
import { describeExit, readText, runPipeline } from "../../streams/process.ts";
import { notWritable } from "../checks/scratchSpace.ts";
import { restoreFailure } from "./failure.ts";
import { type LoadResult, restoreArguments } from "./pgRestore.ts";
import {
  RestoreOutput,
  type TableProgress,
  UNTRANSLATED,
  VERBOSE_RESTORE,
} from "./pgRestoreOutput.ts";
import { openScratchFile } from "./scratchFile.ts";

/**
 * Decodes the archive into a file and restores it from there with as many connections as there are cores, which a stream
 * cannot. The file, the whole database in clear, is its owner's alone, and gone with this process, however that ends.
 * @param onFetched called with what was read before anything is restored; may throw
 * @throws what the source, the decryption or `onFetched` throws; the programs' own failure is in the result
 */
export async function loadFromScratch(
  settings: ServerSettings,
  source: AsyncIterable<Buffer>,
  decoder: Decoder,
  options: {
    readonly folder: string;
    readonly database: string;
    readonly signal: AbortSignal;
    readonly onBytes: (bytes: number) => void;
    readonly onFetched: (fetched: DecodeResult) => void;
    readonly onTable: (progress: TableProgress) => void;
  },
): Promise<LoadResult> {
  const { database, signal, onBytes, onFetched, onTable } = options;
  const scratch = await openScratchFile(options.folder).catch((error: NodeJS.ErrnoException) => {
    throw notWritable(options.folder, error);
  });
  try {
    const file = scratch.path;
    const fetched = await decodeInto(source, decoder, 'umask 077; cat >"$1"', {
      args: [file],
      env: process.env,
      signal,
      onBytes,
    });
    if (fetched.whole) onFetched(fetched);
    const { first, second } = fetched;
    if (first.code !== 0 || second.code !== 0) {
      const failure = failedOnData(first)
        ? describeExit(decoder.program, first)
        : `the archive could not be written to ${options.folder}: ${describeExit("cat", second)}`;
      return { ...fetched, failure: new Problem(`${failure}.`) };
    }
    await fillOffsets(file);
    const failure = await restoreFile(settings, file, { database, signal, onTable });
    return { ...fetched, ...(failure !== undefined && { failure }) };
  } finally {
    await scratch.close();
  }
}

async function restoreFile(
  settings: ServerSettings,
  file: string,
  options: {
    readonly database: string;
    readonly signal: AbortSignal;
    readonly onTable: (progress: TableProgress) => void;
  },
): Promise<Problem | undefined> {
  const { database, signal, onTable } = options;
  const jobs = `--jobs=${availableParallelism()}`;
  const output = new RestoreOutput(onTable);
  const pipeline = runPipeline(":", VERBOSE_RESTORE, {
    args: [...restoreArguments(database), jobs, file],
    env: { ...libpqEnvironment(settings), ...UNTRANSLATED },
    stdin: "ignore",
  });
  const printed = readText(pipeline.stdout, (text) => output.read(text));
  const stop = () => pipeline.kill();
  signal.addEventListener("abort", stop, { once: true });
  try {
    const { second } = await pipeline.ended;
    await printed;
    signal.throwIfAborted();
    return second.code === 0 ? undefined : restoreFailure(second, output);
  } finally {
    signal.removeEventListener("abort", stop);
    pipeline.kill();
  }
}
