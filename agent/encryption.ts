import type { Manifest } from "../storage/manifest.ts";
import { Problem } from "../storage/problem.ts";
import { type Encryption, makeHeader } from "./ageHeader.ts";
import { encryptStream } from "./ageStream.ts";

/**
 * The bytes as they are to be stored.
 *
 * What is yielded is valid only until the next one is asked for; `uploadStream` copies it into its parts.
 * @param encryption absent: the source as it is
 */
export function encrypted(
  source: AsyncIterable<Buffer>,
  encryption: Encryption | undefined,
): AsyncIterable<Buffer> {
  return encryption === undefined ? source : sealed(source, encryption);
}

async function* sealed(source: AsyncIterable<Buffer>, encryption: Encryption) {
  const { head, key } = await makeHeader(encryption);
  yield* encryptStream(notEmpty(source), head, key);
}

/** An encrypted nothing has bytes, so that the upload could not see that it holds none. */
async function* notEmpty(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let empty = true;
  for await (const chunk of source) {
    empty &&= chunk.length === 0;
    yield chunk;
  }
  if (empty) throw new Problem("the backup is empty: its source ended without a byte.");
}

/** What the manifest says about it. */
export function describeEncryption(
  encryption: Encryption | undefined,
): Pick<Manifest, "encryption" | "recipients"> {
  if (encryption === undefined) return { encryption: "none", recipients: [] };
  const recipients = "recipients" in encryption ? [...encryption.recipients] : [];
  return { encryption: "age", recipients };
}
