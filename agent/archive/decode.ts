import { createHash } from "node:crypto";
import type { Writable } from "node:stream";
import { LONGEST_HEADER, parseHeader, unlock } from "../../common/age/header.ts";
import type { AgeSecrets } from "../../common/age/stanzas.ts";
import { decryptStream } from "../../common/age/stream.ts";
import type { Manifest } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import type { CatalogueEntry } from "../../storage/catalogue/catalogueEntry.ts";
import { readStart } from "../../storage/s3/download.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import { type ExitResult, readText, runPipeline, runProgram, SIGPIPE } from "../streams/process.ts";

/** How the bytes of a stored object become the archive, or the text, that was stored. */
export interface Decoder {
  /** The program that does the last step, as shell text and by its name for errors. `none`: pg_restore reads it as it is. */
  readonly command?: string;
  readonly program: "zstd" | "gpg" | "none";
  /** What the program reads from descriptor 5. */
  readonly secret?: string;
  /** Where the encrypted bytes begin and the key that opens them, for reading parts; absent: the object is not encrypted with age. */
  readonly payload?: { readonly headerBytes: number; readonly key: Buffer };
  /** The archive from its beginning to the last byte before its data, where that was read already. */
  readonly toc?: Buffer;
  /** The step before it, in this process. */
  readonly decrypt?: (source: AsyncIterable<Buffer>) => AsyncIterable<Buffer>;
}

/** What was read of an object, and how the programs behind it ended. */
export interface DecodeResult {
  /** Bytes read as stored; the whole object unless the second program stopped first. */
  readonly bytes: number;
  readonly sha256: string;
  /** False when reading stopped early, because the second program wanted no more: then the two above mean nothing. */
  readonly whole: boolean;
  /** Of the decoder's program; code 0 when there is none. */
  readonly first: ExitResult;
  readonly second: ExitResult;
}

const NO_DECODER: Decoder = { program: "none" };

/**
 * Finds out how a dump is decoded, and tries the secret on its age header.
 * @throws Problem when it is encrypted and the secret is missing or wrong
 */
export async function dumpDecoder(
  store: ObjectStore,
  { key }: Pick<CatalogueEntry, "key">,
  manifest: Manifest | null,
  secrets: AgeSecrets,
): Promise<Decoder> {
  if (key.endsWith(".gpg")) return gpgDecoder(key, secrets);
  if (manifest === null) return NO_DECODER;
  return objectDecoder(store, key, manifest, secrets);
}

/**
 * The same for any object of a backup, compressed and encrypted so.
 * @throws Problem when it is encrypted and the secret is missing or wrong
 */
export async function objectDecoder(
  store: ObjectStore,
  key: string,
  { compression, encryption }: Pick<Manifest, "compression" | "encryption">,
  secrets: AgeSecrets,
): Promise<Decoder> {
  const program: Decoder =
    compression === "zstd" ? { command: "zstd -q -d -c", program: "zstd" } : NO_DECODER;
  if (encryption === "none") return program;
  try {
    const header = parseHeader(await readStart(store, key, LONGEST_HEADER));
    if (header === undefined) throw new Problem("it is cut off within its header.");
    const { bytes: headerBytes } = header;
    const payload = await unlock(header, secrets);
    return {
      ...program,
      payload: { headerBytes, key: payload },
      decrypt: (source) => decryptStream(source, headerBytes, payload),
    };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new Problem(`${key} cannot be decrypted: ${error.message}`, { cause: error });
  }
}

/** The old image's `gpg --symmetric`. No gpg-agent, no keyring, no home: nothing is written anywhere. */
function gpgDecoder(key: string, { passphrase }: AgeSecrets): Decoder {
  if (passphrase === undefined) {
    throw new Problem(
      `${key} is encrypted with a passphrase by the old image, and none is set. Set PASSPHRASE to the one that it was made with.`,
    );
  }
  return {
    command:
      "gpg --batch --quiet --no-options --no-autostart --no-keyring --homedir /dev/null --pinentry-mode loopback --passphrase-fd 5 --decrypt",
    program: "gpg",
    secret: passphrase,
  };
}

/**
 * Runs an object through its decoder into a program; nothing touches a disk on the way.
 * @param source bytes as stored
 * @param reader shell text of the program that takes what comes out of it
 * @throws what the source throws, or the decryption when a byte was changed; how the programs ended is in the result
 */
export async function decodeInto(
  source: AsyncIterable<Buffer>,
  { command, secret, decrypt }: Decoder,
  reader: string,
  options: {
    readonly args: readonly string[];
    readonly env: NodeJS.ProcessEnv;
    readonly signal: AbortSignal;
    /** Called with the number of stored bytes read so far. */
    readonly onBytes?: (bytes: number) => void;
    /** `inherit`: what the reader prints goes where this process's own output goes. @default "pipe" */
    readonly stdout?: "pipe" | "inherit";
    /** Called with what the reader prints. */
    readonly onOutput?: (text: string) => void;
    /** How that is read, as `readText` does. @default "utf8" */
    readonly outputEncoding?: "utf8" | "latin1";
    /** Why the reader failed, where it prints that too. @default what stands on its standard error */
    readonly failure?: () => string;
  },
): Promise<DecodeResult> {
  const { args, env, signal, stdout = "pipe", onBytes, onOutput, failure } = options;
  const { outputEncoding } = options;
  const programs = start(command, reader, {
    args,
    env,
    stdin: "pipe",
    stdout,
    ...(secret !== undefined && { secret }),
  });
  const stop = () => programs.kill();
  signal.addEventListener("abort", stop, { once: true });
  const printed = readText(programs.stdout, onOutput ?? (() => {}), outputEncoding);
  const ended = Promise.all([programs.ended, printed]).then(([endings]) => endings);
  ended.catch(() => {});
  try {
    const counter = new ByteCounter(onBytes);
    const counted = counter.pass(source);
    const whole = await feed(
      { stdin: programs.stdin, ended },
      decrypt === undefined ? counted : decrypt(counted),
      ({ code, stderr }) => code !== 0 && brokenArchive(failure?.() ?? stderr),
    );
    signal.throwIfAborted();
    return { ...counter.result(), whole, ...(await ended) };
  } catch (error) {
    // The killed programs and the closed stream have errors of their own; the reason for stopping is the cause.
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
    programs.kill();
    await programs.ended;
  }
}

function start(
  command: string | undefined,
  reader: string,
  options: Parameters<typeof runPipeline>[2],
) {
  if (command !== undefined) return runPipeline(command, reader, options);
  const program = runProgram(reader, options);
  const ended = program.ended.then((second) => ({ first: { code: 0, stderr: "" }, second }));
  ended.catch(() => {});
  return { ...program, ended };
}

/** The decompressor choked on the data itself, so the object's digest, read to its end, is the better explanation. */
export function failedOnData(first: ExitResult): boolean {
  // gpg ends with a code of its own when its reader is gone.
  return first.code !== 0 && first.code !== SIGPIPE && !/Broken pipe$/m.test(first.stderr);
}

/** The same of pg_restore, which decompresses what pg_dump has compressed, and of an archive that is cut or garbled. */
function brokenArchive(error: string): boolean {
  return /could not decompress|could not read|data block|block ID|magic string|file header|valid archive|too short/.test(
    error,
  );
}

/** @returns whether everything was read */
async function feed(
  { stdin, ended }: Pick<ReturnType<typeof start>, "stdin" | "ended">,
  source: AsyncIterable<Buffer>,
  isBrokenArchive: (reader: ExitResult) => boolean,
): Promise<boolean> {
  if (stdin === null) throw new Error("the pipeline has no input");
  // EPIPE: the reader is gone; its exit code has the reason.
  stdin.on("error", () => {});
  for await (const chunk of source) {
    if (!stdin.destroyed) {
      if (!stdin.write(chunk)) await drained(stdin);
    } else {
      const { first, second } = await ended;
      if (!failedOnData(first) && !isBrokenArchive(second)) return false;
    }
  }
  stdin.end();
  return true;
}

/** Until more can be written or never will be: a program that ends closes its input without an error. */
export function drained(stdin: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stdin.off("drain", done).off("close", done);
      resolve();
    };
    stdin.on("drain", done).on("close", done);
  });
}

/** Size and digest of what passes by, as stored. */
export class ByteCounter {
  readonly #hash = createHash("sha256");
  readonly #onBytes: ((bytes: number) => void) | undefined;
  #bytes = 0;

  constructor(onBytes?: (bytes: number) => void) {
    this.#onBytes = onBytes;
  }

  async *pass(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      this.#hash.update(chunk);
      this.#bytes += chunk.length;
      this.#onBytes?.(this.#bytes);
      yield chunk;
    }
  }

  result(): { readonly bytes: number; readonly sha256: string } {
    return { bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }
}
