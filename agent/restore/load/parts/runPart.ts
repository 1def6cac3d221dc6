import type { ServerSettings } from "../../../../common/contracts/agentEnvironment/postgres.ts";
import { drained } from "../../../archive/decode.ts";
import { connectionString, libpqEnvironment } from "../../../postgres/connection.ts";
import { readText, runProgram } from "../../../streams/process.ts";
import { restoreFailure } from "../failure.ts";
import {
  RestoreOutput,
  type TableProgress,
  UNTRANSLATED,
  VERBOSE_RESTORE,
} from "../pgRestoreOutput.ts";

/** One run of `pg_restore` on an archive that is made for it. */
export interface PartRun {
  readonly database: string;
  /** Words for pg_restore beside the database. */
  readonly words: readonly string[];
  readonly signal: AbortSignal;
  readonly onTable?: (progress: TableProgress) => void;
}

/**
 * Restores an archive from its bytes. Where their source fails, pg_restore never sees the end of its input, and takes back the
 * table that it was at.
 * @throws Problem of pg_restore's own; what the source throws; the signal's reason
 */
export async function runPart(
  settings: ServerSettings,
  source: AsyncIterable<Buffer>,
  { database, words, signal, onTable = () => {} }: PartRun,
): Promise<void> {
  signal.throwIfAborted();
  const output = new RestoreOutput(onTable);
  const program = runProgram(VERBOSE_RESTORE, {
    args: ["--exit-on-error", ...words, "--no-password", `--dbname=${connectionString(database)}`],
    env: { ...libpqEnvironment(settings), ...UNTRANSLATED },
    stdin: "pipe",
  });
  const stop = () => program.kill();
  signal.addEventListener("abort", stop, { once: true });
  const printed = readText(program.stdout, (text) => output.read(text));
  try {
    const { stdin } = program;
    if (stdin === null) throw new Error("pg_restore has no input");
    // EPIPE: it has ended, and its exit code has the reason.
    stdin.on("error", () => {});
    for await (const piece of source) {
      if (stdin.destroyed) break;
      if (!stdin.write(piece)) await drained(stdin);
    }
    stdin.end();
    const ending = await program.ended;
    await printed;
    signal.throwIfAborted();
    if (ending.code !== 0) throw restoreFailure(ending, output);
  } catch (error) {
    // The killed program has an error of its own; the reason for stopping is the cause.
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
    program.kill();
    await program.ended;
  }
}
