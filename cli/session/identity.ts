import { readFile } from "node:fs/promises";
import { parseIdentity } from "../../common/age/keys.ts";
import { Problem } from "../../common/problem.ts";
import { fileFault } from "../terminal/format.ts";

/** How a private key reaches the agent: its option, and what it then reads from standard input. */
export interface IdentityInput {
  readonly args: readonly string[];
  readonly call: { readonly input?: string };
}

/** Holds a private key, where no file shall lie, as in CI. */
const IDENTITY_VARIABLE = "AGE_IDENTITY";

/**
 * The private keys that this machine was given, a line each; undefined: none.
 * @param file of `--identity`; absent: the variable AGE_IDENTITY is read
 * @throws Problem when it holds no valid one; never repeats it
 */
export async function identityLines(file: string | undefined): Promise<string[] | undefined> {
  if (file !== undefined) return keysIn(await textOf(file), `--identity ${file}`);
  const text = process.env[IDENTITY_VARIABLE] ?? "";
  return text === "" ? undefined : keysIn(text, IDENTITY_VARIABLE);
}

/**
 * Reads a private key on this machine, to be handed to the agent for one command. It goes over the connection alone: it
 * is never an argument, and never written on the host.
 * @param file absent: none is needed
 * @throws Problem when the file holds no valid one; never repeats it
 */
export async function readIdentity(file: string | undefined): Promise<IdentityInput> {
  if (file === undefined) return { args: [], call: {} };
  return identityInput(keysIn(await textOf(file), `--identity ${file}`));
}

/** The same for keys that are at hand. */
export function identityInput(keys: readonly string[]): IdentityInput {
  return { args: ["--identity-stdin"], call: { input: `${keys.join("\n")}\n` } };
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new Problem(`--identity ${file} cannot be read: ${fileFault(error)}.`, { cause: error });
  }
}

/** @param where what an error calls the place */
function keysIn(text: string, where: string): string[] {
  const keys = text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line.startsWith("AGE-SECRET-KEY-"));
  if (keys.length === 0) {
    throw new Problem(
      `${where} holds no line that begins with AGE-SECRET-KEY-1. Give the file that age-keygen wrote; one that is itself encrypted must be decrypted first (age --decrypt).`,
    );
  }
  try {
    for (const key of keys) parseIdentity(key);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new Problem(`${where}: ${error.message}`, { cause: error });
  }
  return keys;
}
