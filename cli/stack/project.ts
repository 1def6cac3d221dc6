import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
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

/** As Pulumi finds it: in the folder or the nearest above it. */
function projectFile(folder: string): string | undefined {
  const found = FILES.map((name) => join(folder, name)).find((path) => existsSync(path));
  const above = dirname(folder);
  return found ?? (above === folder ? undefined : projectFile(above));
}

function refreshesAlways(file: string): boolean {
  try {
    // JSON is YAML, too.
    return parse(readFileSync(file, "utf8"))?.options?.refresh === "always";
  } catch {
    // Pulumi itself says what is wrong with it.
    return false;
  }
}
