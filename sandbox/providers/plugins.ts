import { access, constants } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/**
 * The real plugin of a provider: one on PATH (any version, as Pulumi takes it), else the one of exactly this version in
 * the Pulumi home. Undefined when there is none.
 */
export async function findPlugin(
  name: string,
  version: string,
  env: NodeJS.ProcessEnv,
): Promise<string | undefined> {
  const program = `pulumi-resource-${name}`;
  const home = env["PULUMI_HOME"] || join(homedir(), ".pulumi");
  const candidates = [
    ...(env["PATH"] ?? "")
      .split(delimiter)
      .filter(Boolean)
      .map((folder) => join(folder, program)),
    join(home, "plugins", `resource-${name}-v${version}`, program),
  ];
  for (const path of candidates) {
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Not there, not a folder on the way, or not to be run: no plugin.
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EACCES") return false;
    throw error;
  }
}
