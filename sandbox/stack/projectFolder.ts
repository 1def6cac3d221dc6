import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const checkout = fileURLToPath(new URL("../..", import.meta.url));
/** The settings that a new stack of a sandbox begins with. */
export const TEMPLATE = join(checkout, "stacks", "Pulumi.sandbox.yaml");

/**
 * Makes the folder of a stack: its `Pulumi.yaml`, and its settings where there are none yet.
 * @param program folder in which the program runs
 * @returns the file of the stack's settings
 */
export async function layOutProject(
  dir: string,
  stack: string,
  program = process.cwd(),
): Promise<string> {
  await mkdir(join(dir, "stacks"), { recursive: true });
  // The program is handed over inline, so no file is run. The folder named here is the one in which the engine starts real
  // plugins: the Docker plugin looks for the Dockerfile by a path that is relative to the program's.
  const project = await readFile(join(checkout, "Pulumi.yaml"), "utf8");
  const main = `main: ${JSON.stringify(relative(dir, program) || ".")}`;
  await writeFile(join(dir, "Pulumi.yaml"), project.replace(/^main: .*$/m, main));
  const settings = join(dir, "stacks", `Pulumi.${stack}.yaml`);
  // The engine keeps the salt of the stack's secrets in this file: never overwrite it.
  await copyFile(TEMPLATE, settings, 1).catch((error) => {
    if (error.code !== "EEXIST") throw error;
  });
  return settings;
}
