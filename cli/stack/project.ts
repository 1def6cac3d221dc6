import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parse } from "yaml";

const FILES = ["Pulumi.yaml", "Pulumi.yml", "Pulumi.json"];

/**
 * The command that puts back what has drifted. `pulumi up` compares the program with the state and does not look at what is
 * there, unless it is told to, or the project says `options: { refresh: always }`.
 * @param cwd folder with Pulumi.yaml, or one below it; where there is none, the command serves every project
 */
export function healingCommand(cwd: string): "pulumi up" | "pulumi up --refresh" {
  const file = projectFile(cwd);
  return file !== undefined && refreshesAlways(file) ? "pulumi up" : "pulumi up --refresh";
}

/** The folder in which a project's program runs, and to which the paths in its configuration belong; without a project this one. */
export function programFolder(cwd: string): string {
  const file = projectFile(cwd);
  if (file === undefined) return cwd;
  const main: unknown = projectIn(file)?.main;
  // A file or a folder, from the project's folder or absolute: https://www.pulumi.com/docs/iac/concepts/projects/project-file/
  const program = resolve(dirname(file), typeof main === "string" ? main : ".");
  return statSync(program, { throwIfNoEntry: false })?.isDirectory() ? program : dirname(program);
}

/** Whether Pulumi finds a project from this folder. */
export function hasProject(cwd: string): boolean {
  return projectFile(cwd) !== undefined;
}

/** As Pulumi finds it: in the folder or the nearest above it. */
function projectFile(folder: string): string | undefined {
  const found = FILES.map((name) => join(folder, name)).find((path) => existsSync(path));
  const above = dirname(folder);
  return found ?? (above === folder ? undefined : projectFile(above));
}

function refreshesAlways(file: string): boolean {
  return projectIn(file)?.options?.refresh === "always";
}

interface Project {
  readonly main?: unknown;
  readonly options?: { readonly refresh?: unknown } | null;
}

function projectIn(file: string): Project | null | undefined {
  try {
    // JSON is YAML, too.
    return parse(readFileSync(file, "utf8"));
  } catch {
    // Pulumi itself says what is wrong with it.
    return undefined;
  }
}
