import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { Problem } from "../../common/problem.ts";
import { type StackChoice, stackNames } from "../stack/pulumi.ts";
import { fileFault } from "../terminal/format.ts";

/** A stack to look at, and how its row calls it. */
export interface NamedStack {
  readonly stack: string;
  readonly choice: StackChoice;
}

/**
 * The stacks of the project.
 * @throws Problem when Pulumi does not list them, or there are none
 */
export async function stacksOfProject(cwd: string): Promise<NamedStack[]> {
  const names = await stackNames(cwd);
  if (names.length === 0) {
    throw new Problem(`the project in ${cwd} has no stack yet. Make one: pulumi stack init.`);
  }
  return names.map((stack) => ({ stack, choice: { cwd, stack, needsEngine: true } }));
}

/**
 * The stacks that a file names, one a line: a stack of this project, or of another one with its folder in front, as it is seen
 * from the file. Empty lines, and those that begin with `#`, do not count.
 * @throws Problem when the file cannot be read, or names none
 */
export async function stacksOfFile(path: string, cwd: string): Promise<NamedStack[]> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    throw new Problem(`--stacks ${path} cannot be read: ${fileFault(error)}.`, { cause: error });
  });
  const stacks = readStacks(text, dirname(resolve(path)), cwd);
  if (stacks.length > 0) return stacks;
  throw new Problem(
    `--stacks ${path} names no stack. Give one a line: production, or ../blog/backup production.`,
  );
}

/**
 * @param beside folder of the file
 * @param cwd folder of the project of a stack without one
 */
export function readStacks(text: string, beside: string, cwd: string): NamedStack[] {
  return text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [, folder, stack = ""] = /^(?:(.*\S)\s+)?(\S+)$/.exec(line) ?? [];
      const of = folder === undefined ? cwd : resolve(beside, folder);
      return { stack, choice: { cwd: of, stack, needsEngine: true } };
    });
}
