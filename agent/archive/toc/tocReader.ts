import { Readable } from "node:stream";
import { formatBytes } from "../../../common/format.ts";
import { Problem } from "../../../common/problem.ts";
import { openObject } from "../../../storage/s3/download.ts";
import type { AgentContext } from "../../runtime/context.ts";
import { type Decoder, decodeInto } from "../decode.ts";
import { decodeText, encodingOf, isAscii } from "./archiveText.ts";

/** Bytes. The definitions of 10,000 tables take a tenth of it; more would not fit into the container's memory. */
const LONGEST_TEXT = 16 * 1024 * 1024;
const TOO_LONG = new Problem("the text is too long.");

/**
 * What `pg_restore` prints of an archive from its table of contents, which stands at its start: only as much of the object
 * is read.
 * @param words words for `pg_restore`, e.g. `--list`
 * @returns undefined when it is longer than 16 MiB, which is reported, or the table of contents cannot be read; reading the whole object shows better why
 * @throws Problem when the object was encrypted with another passphrase, or a byte of its start was changed
 */
export async function queryToc(
  context: Pick<AgentContext, "store" | "signal"> & Partial<AgentContext>,
  key: string,
  decoder: Decoder,
  words: readonly string[],
): Promise<string | undefined> {
  const text = await print(context, key, decoder, words);
  if (text === undefined || isAscii(text)) return text;
  // A list does not say in which encoding it is; the beginning of the SQL does.
  const encoding =
    encodingOf(text) ?? encodingOf((await print(context, key, decoder, NO_ENTRY)) ?? "");
  return decodeText(text, encoding);
}

/** For what was decoded before. */
const PLAIN: Decoder = { program: "none" };

/** The archive's settings as SQL, and nothing of what it holds. */
const NO_ENTRY = ["--file=-", "--use-list=/dev/null"];

/** @returns what pg_restore prints, a byte a character */
async function print(
  { store, signal, report }: Pick<AgentContext, "store" | "signal"> & Partial<AgentContext>,
  key: string,
  decoder: Decoder,
  words: readonly string[],
): Promise<string | undefined> {
  const { toc } = decoder;
  const opened = toc === undefined ? await openObject(store, key) : undefined;
  const enough = new AbortController();
  let text = "";
  try {
    const source = opened?.stream ?? Readable.from(toc === undefined ? [] : [toc]);
    const { first, second } = await decodeInto(
      source,
      toc === undefined ? decoder : PLAIN,
      'pg_restore "$@"',
      {
        args: words,
        env: process.env,
        signal: AbortSignal.any([signal, enough.signal]),
        outputEncoding: "latin1",
        onOutput: (piece) => {
          if (text.length + piece.length <= LONGEST_TEXT) text += piece;
          else enough.abort(TOO_LONG);
        },
      },
    );
    enough.signal.throwIfAborted();
    if (decoder.program === "gpg" && second.code !== 0) throw gpgProblem(key, first);
    return second.code === 0 ? text : undefined;
  } catch (error) {
    if (error !== TOO_LONG) throw error;
    const limit = formatBytes(LONGEST_TEXT);
    report?.warn(
      `${key}: what stands in its table of contents is longer than ${limit} of text, so it was not looked at beforehand.`,
    );
    return undefined;
  } finally {
    opened?.stream.destroy();
  }
}

function gpgProblem(key: string, { code, stderr }: { code: number | null; stderr: string }) {
  if (code === 127) {
    return new Problem(
      `${key} is encrypted with gpg by the old image, and this image has no gpg. Decrypt it elsewhere: gpg --decrypt, then pg_restore.`,
    );
  }
  if (/bad session key|decryption failed: bad|invalid passphrase/i.test(stderr)) {
    return new Problem(
      `${key} cannot be decrypted: the passphrase is wrong. Set PASSPHRASE to the one that the old image had.`,
    );
  }
  const last = stderr.split("\n").at(-1) ?? "";
  return new Problem(`${key} cannot be decrypted by gpg: ${last || `exit code ${code}`}.`);
}
