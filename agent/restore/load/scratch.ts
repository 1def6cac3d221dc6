import { Problem } from "../../../common/problem.ts";
import { type DecodeResult, type Decoder, decodeInto, failedOnData } from "../../archive/decode.ts";
import { fillOffsets } from "../../archive/toc/fillOffsets.ts";
import { describeExit } from "../../streams/process.ts";
import { notWritable } from "../checks/space.ts";
import { openScratchFile } from "./scratchFile.ts";

/** An archive that was unpacked; or why it could not be. */
export type Unpacked = DecodeResult & { readonly failure?: Problem };

/**
 * Decodes the archive into a file, from where it is restored with as many connections as there are cores, which a stream
 * cannot. The file, the whole database in clear, is its owner's alone, and gone with this
 * process, however that ends.
 * @param use works with the file; not called when the archive could not be unpacked
 * @throws what the source, the decryption or `use` throws; the programs' own failure is in the result
 */
export async function unpackInto(
  folder: string,
  source: AsyncIterable<Buffer>,
  decoder: Decoder,
  { signal, onBytes }: { readonly signal: AbortSignal; readonly onBytes: (bytes: number) => void },
  use: (file: string, fetched: DecodeResult) => Promise<void>,
): Promise<Unpacked> {
  const scratch = await openScratchFile(folder).catch((error: NodeJS.ErrnoException) => {
    throw notWritable(folder, error);
  });
  try {
    const file = scratch.path;
    const fetched = await decodeInto(source, decoder, 'umask 077; cat >"$1"', {
      args: [file],
      env: process.env,
      signal,
      onBytes,
    });
    const { first, second } = fetched;
    if (first.code !== 0 || second.code !== 0) {
      const failure = failedOnData(first)
        ? describeExit(decoder.program, first)
        : `the archive could not be written to ${folder}: ${describeExit("cat", second)}`;
      return { ...fetched, failure: new Problem(`${failure}.`) };
    }
    await fillOffsets(file);
    await use(file, fetched);
    return fetched;
  } finally {
    await scratch.close();
  }
}
