import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { Problem } from "../../common/problem.ts";
import { fileFault } from "../terminal/format.ts";

/** SQL of the user's. */
export interface SqlFile {
  readonly text: string;
  /** For people: the file without its folder. */
  readonly name: string;
}

/** The agent takes no longer request. */
const LONGEST = 48 * 1024;

/**
 * Reads a file with SQL.
 * @param names of the option, and of what the stack declares, for a sentence
 * @param given with the option, relative to where it was typed
 * @param declared relative to the folder of the program
 * @returns undefined: there is neither
 * @throws Problem when it cannot be read, is empty or too long
 */
export async function readSqlFile(
  names: { readonly option: string; readonly declared: string },
  given: string | undefined,
  declared: string | undefined,
  cwd: string,
): Promise<SqlFile | undefined> {
  const path = given ?? (declared && resolve(cwd, declared));
  if (!path) return undefined;
  const shown = given === undefined ? `${names.declared}, ${path},` : `${names.option} ${given}`;
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    throw new Problem(`${shown} cannot be read: ${fileFault(error)}.`);
  }
  if (text.trim() === "") throw new Problem(`${shown} has no SQL in it.`);
  if (Buffer.byteLength(text) > LONGEST) {
    throw new Problem(`${shown} is longer than 48 KiB. Leave out what is not needed.`);
  }
  return { text, name: basename(path) };
}
