import { isDeepStrictEqual } from "node:util";
import { up } from "../../sandbox/commands/up.ts";
import { type EngineOptions, openStack, type SandboxStack } from "../../sandbox/stack/engine.ts";
import type { World } from "../../sandbox/world/world.ts";
import { closeAtEnd, isShared } from "../runner/shared.ts";

export interface Journey {
  readonly world: World;
  readonly stack: SandboxStack;
}

/** The sandbox with the backup declared and booted: whatever is missing is made, so each journey runs alone too. */
export async function begin(options: EngineOptions = {}): Promise<Journey> {
  const world = await up();
  const usual = Object.keys(options).length === 0;
  const stack = usual && isShared() ? await sharedStack(world) : await open(world, options);
  const result = await stack.up();
  if (result.code !== 0) {
    await stack.close();
    throw new Error(`pulumi up failed with ${result.code}:\n${result.output}`);
  }
  return { world, stack };
}

const open = (world: World, options: EngineOptions) =>
  openStack(world, { dynamic: "warm", ...options });

let last: { readonly world: World; readonly stack: SandboxStack } | undefined;

/** One for all journeys in this process, as long as the sandbox is the same: opening it takes as long as an operation. */
async function sharedStack(world: World): Promise<SandboxStack> {
  if (last === undefined || !isDeepStrictEqual(last.world, world)) {
    const stack = await open(world, {});
    closeAtEnd(stack.close);
    last = { world, stack };
  }
  return { ...last.stack, close: async () => {} };
}
