/** What a test file needs of the machine, and what it is about: read from the file itself, so that nobody keeps a list. */
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** `unit` needs Node and the npm packages alone; `world` starts programs: a server, Docker, Pulumi's engine, our own CLI. */
export type Kind = "unit" | "world";

/** Packages whose importer starts a program: Node's own way, and Pulumi's, which starts the engine. */
const STARTERS = /^(?:node:)?child_process$|^@pulumi\/pulumi\/automation/;

/** Modules that a file loads when it runs; what it imports for its types alone is left out. */
function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8");
  const statements = /^(?:import|export)\s+(?!type\b)(?:[^"';]*?\sfrom\s*)?"([^"]+)"/gm;
  const calls = /\bimport\(\s*"([^"]+)"/g;
  return [...text.matchAll(statements), ...text.matchAll(calls)].map(([, name = ""]) =>
    name.startsWith(".") ? normalize(join(dirname(file), name)) : name,
  );
}

/**
 * The kind of a test file, by what it imports. The product's own modules are not looked into: a test that hands them a
 * world has imported that world itself, from `test/` or `sandbox/`.
 */
export function kindOf(file: string): Kind {
  return starterOf(file) === undefined ? "unit" : "world";
}

/** The way from a test file to the first package that starts programs; undefined when there is none. */
export function starterOf(file: string): string[] | undefined {
  return wayTo(STARTERS, file);
}

/** Whether a test file declares resources: with Pulumi a process is three times as large, and starts each program more slowly. */
export function loadsPulumi(file: string): boolean {
  return wayTo(/^@pulumi\/|^(?:components|stacks|examples)\//, file) !== undefined;
}

/** The way from a test file, through `test/` and `sandbox/`, to the first import that matches. */
function wayTo(wanted: RegExp, file: string, seen = new Set<string>()): string[] | undefined {
  seen.add(file);
  for (const name of importsOf(file)) {
    if (wanted.test(name)) return [file, name];
    if (!/^(?:test|sandbox)\//.test(name) || seen.has(name) || !existsSync(name)) continue;
    const way = wayTo(wanted, name, seen);
    if (way !== undefined) return [file, ...way];
  }
  return undefined;
}

/** The test files whose path contains one of the words or that carry it as a tag; without words all. */
export function findTests(words: readonly string[]): string[] {
  const all = globSync("test/**/*.test.ts").toSorted();
  if (words.length === 0) return all;
  return all.filter((file) => {
    const tags = tagsOf(file);
    return words.some((word) => file.includes(word) || tags.includes(word));
  });
}

/** Words after `// tag:` in a file's first lines: what it is about, where its folder does not say it. */
export function tagsOf(file: string): string[] {
  const head = readFileSync(file, "utf8").split("\n", 5);
  return head.flatMap((line) => /^\/\/ tag: (.+)$/.exec(line)?.[1]?.split(/,\s*/) ?? []);
}
