import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { openStack } from "../stack/engine.ts";
import { checkout } from "../world/paths.ts";
import { readWorld } from "../world/world.ts";

/**
 * Runs a command of the product for the sandbox's stack, on this terminal.
 * @param words as they stand behind the product's name
 * @returns its exit code
 */
export async function cli(words: readonly string[]): Promise<number> {
  const { stack, dir, env, close } = await openStack(readWorld());
  // Both are on the terminal, which sends Ctrl-C to both; this one waits for what the other makes of it.
  const wait = () => {};
  process.on("SIGINT", wait);
  try {
    // status --all finds the stacks itself, and refuses one that is named beside it.
    const findsThem =
      words.includes("status") && words.some((word) => /^--(?:all|stacks)\b/.test(word));
    const args = [...(findsThem ? [] : ["--stack", stack.name]), "--cwd", dir, ...words];
    const child = spawn(process.execPath, [join(checkout, "cli", "main.ts"), ...args], {
      env: { ...process.env, ...env },
      stdio: "inherit",
    });
    const [code] = await once(child, "close");
    return code ?? 1;
  } finally {
    process.off("SIGINT", wait);
    await close();
  }
}
