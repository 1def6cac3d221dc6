import { up } from "../../sandbox/commands/up.ts";
import { type EngineOptions, openStack, type SandboxStack } from "../../sandbox/stack/engine.ts";
import type { World } from "../../sandbox/world/world.ts";

export interface Journey {
  readonly world: World;
  readonly stack: SandboxStack;
}

/** The sandbox with the backup declared and booted: whatever is missing is made, so each journey runs alone too. */
export async function begin(options: EngineOptions = {}): Promise<Journey> {
  const world = await up();
  const stack = await openStack(world, { dynamic: "warm", ...options });
  const result = await stack.up();
  if (result.code !== 0) {
    await stack.close();
    throw new Error(`pulumi up failed with ${result.code}:\n${result.output}`);
  }
  return { world, stack };
}
