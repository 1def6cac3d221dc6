import { readFile } from "node:fs/promises";
import { parseIdentity } from "../../common/age/keys.ts";
import type { AgeSecrets } from "../../common/age/stanzas.ts";
import { Problem } from "../../common/problem.ts";

/** Some hundred keys; whoever sends more sends something else. */
const LONGEST_INPUT = 64 * 1024;

/**
 * Gathers what may open an encrypted backup. None of it ever comes as an argument, which everyone on the host can read.
 * @param env `PASSPHRASE`, and `AGE_IDENTITY_FILE`: a file as `age-keygen` writes it
 * @param input standard input, or its first lines, when it brings a secret: lines with identities, or one line with a
 * passphrase
 * @throws Problem when the file or the input holds no secret
 */
export async function readSecrets(
  env: Readonly<Record<string, string | undefined>>,
  input?: AsyncIterable<Buffer | string> | Promise<string>,
): Promise<AgeSecrets> {
  const file = env["AGE_IDENTITY_FILE"] ?? "";
  const identities = file === "" ? [] : await readIdentityFile(file);
  let passphrase = env["PASSPHRASE"];
  if (input !== undefined) {
    const text = await (Symbol.asyncIterator in input ? readAll(input) : input);
    const given = identitiesIn(text);
    identities.push(...given);
    if (given.length === 0) passphrase = text.split(/\r?\n/, 1)[0];
    if (given.length === 0 && (passphrase === undefined || passphrase === "")) {
      throw new Problem(
        "--identity-stdin: standard input was empty. Send the line that begins with AGE-SECRET-KEY-1, or the passphrase.",
      );
    }
  }
  return { identities, ...(passphrase !== undefined && passphrase !== "" && { passphrase }) };
}

async function readIdentityFile(file: string): Promise<Buffer[]> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Problem(`AGE_IDENTITY_FILE ${file} cannot be read (${code}).`, { cause: error });
  }
  const identities = identitiesIn(text);
  if (identities.length > 0) return identities;
  throw new Problem(
    `AGE_IDENTITY_FILE ${file} holds no line that begins with AGE-SECRET-KEY-1. Give the file that age-keygen wrote; one that is itself encrypted must be decrypted first.`,
  );
}

function identitiesIn(text: string): Buffer[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line.startsWith("AGE-SECRET-KEY-"))
    .map(parseIdentity);
}

async function readAll(input: AsyncIterable<Buffer | string>): Promise<string> {
  let text = "";
  for await (const piece of input) {
    text += String(piece);
    if (text.length > LONGEST_INPUT) {
      throw new Problem("--identity-stdin: standard input is too long to be a secret.");
    }
  }
  return text;
}
