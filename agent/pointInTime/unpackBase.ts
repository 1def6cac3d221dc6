import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Base, Chain } from "../../common/contracts/pointInTime.ts";
import { Problem } from "../../common/problem.ts";
import { baseTarKey } from "../../storage/catalogue/pointInTimeKeys.ts";
import { runProgram } from "../streams/process.ts";
import { type Unsealing, unsealed } from "./unseal.ts";

/**
 * Unpacks a base backup into a folder, and compares what was read with the signed record.
 * @param onBytes called with the number of stored bytes that were read since it was called last
 * @throws Problem when it cannot be read, is not what the record says, or the disk is full
 */
export async function unpackBase(
  how: Unsealing,
  chain: Chain,
  base: Base,
  folder: string,
  onBytes: (bytes: number) => void,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { prefix } = how.store.address;
  const key = baseTarKey(prefix, chain.chain, base.stamp, chain);
  const hash = createHash("sha256");
  // Whoever unpacks it may own nothing: the image of the server gives the files to its own user.
  const tar = runProgram('exec tar --extract --no-same-owner --directory "$1"', {
    args: [folder],
    env: process.env,
    stdin: "pipe",
  });
  const stop = () => tar.kill();
  how.signal.addEventListener("abort", stop, { once: true });
  try {
    const source = unsealed(how, key, (piece) => {
      hash.update(piece);
      onBytes(piece.length);
    });
    const feeding = pipeline(Readable.from(source), tar.stdin as NodeJS.WritableStream);
    const fed = await feeding.then(
      () => undefined,
      (error: unknown) => error,
    );
    const { code, stderr } = fed instanceof Problem ? { code: 0, stderr: "" } : await tar.ended;
    how.signal.throwIfAborted();
    if (fed instanceof Problem) throw fed;
    if (code !== 0) {
      throw new Problem(
        `the base backup of ${base.stamp} could not be unpacked: ${stderr.split("\n").at(-1) || `tar ended with ${code}`}`,
      );
    }
    if (fed !== undefined) throw fed;
    const sha256 = hash.digest("hex");
    if (sha256 === base.sha256) return;
    throw new Problem(
      `${key} is damaged: its SHA-256 is ${sha256}, its record says ${base.sha256}.`,
    );
  } finally {
    how.signal.removeEventListener("abort", stop);
    tar.kill();
    await tar.ended;
  }
}
