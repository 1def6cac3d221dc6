import { type Encryption, makeHeader } from "../../common/age/header.ts";
import { encryptStream } from "../../common/age/stream.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";

/** The header of an age file to come, and the key of its payload; undefined: nothing is encrypted. */
export type PendingHeader = ReturnType<typeof makeHeader> | undefined;

/**
 * Begins a header before its stream is there. A passphrase's takes 32 MiB for a moment, which a run has to spare only while
 * its part buffers are still to come.
 * @param after is made first, so that only one at a time takes that much
 */
export function beginHeader(
  encryption: Encryption | undefined,
  after?: PendingHeader,
): PendingHeader {
  if (encryption === undefined) return undefined;
  const header = Promise.resolve(after).then(() => makeHeader(encryption));
  // Whoever encrypts with it sees the error; a run that ends before that has one of its own.
  header.catch(() => {});
  return header;
}

/**
 * The bytes as they are to be stored.
 *
 * What is yielded is valid only until the next one is asked for; `uploadStream` copies it into its parts.
 */
export function encryptedWith(
  source: AsyncIterable<Buffer>,
  header: PendingHeader,
): AsyncIterable<Buffer> {
  return header === undefined ? source : encryptWhenReady(source, header);
}

async function* encryptWhenReady(source: AsyncIterable<Buffer>, ready: NonNullable<PendingHeader>) {
  const { header, payloadKey } = await ready;
  yield* encryptStream(source, header, payloadKey);
}

/** How the manifest names it. */
export function describeEncryption(
  encryption: Encryption | undefined,
): Pick<Manifest, "encryption" | "recipients"> {
  if (encryption === undefined) return { encryption: "none", recipients: [] };
  const recipients = "recipients" in encryption ? [...encryption.recipients] : [];
  return { encryption: "age", recipients };
}
