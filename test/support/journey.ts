import { isDeepStrictEqual } from "node:util";
import { statusOf } from "../../sandbox/commands/status.ts";
import { up } from "../../sandbox/commands/up.ts";
import { type Providers, startProviders } from "../../sandbox/providers/start.ts";
import {
  type EngineOptions,
  openStack,
  type SandboxStack,
  storeEnvironment,
} from "../../sandbox/stack/engine.ts";
import type { StackSettings } from "../../sandbox/stack/settingsFile.ts";
import type { World } from "../../sandbox/world/world.ts";
import { closeAtEnd } from "../runner/shared.ts";
import { startVault } from "./servers/vault.ts";

export interface Journey {
  readonly world: World;
  readonly stack: SandboxStack;
}

/**
 * The sandbox with the backup declared and booted: whatever is missing is made and whatever differs is mended, so each journey runs
 * alone too, and puts nothing back that `pulumi up` does.
 * @param settings over the usual ones
 */
export async function begin(
  settings: StackSettings = {},
  options: EngineOptions = {},
): Promise<Journey> {
  const world = await sandboxUp();
  const usual = Object.keys(options).length === 0;
  const stack = usual ? await sharedStack(world) : await openOwn(world, options);
  stack.configure(settings);
  const result = await stack.up();
  if (result.code !== 0) {
    await stack.close();
    throw new Error(`pulumi up failed with ${result.code}:\n${result.output}`);
  }
  return { world, stack };
}

/**
 * A stack with a program or a name of its own, with the providers that all journeys in this process share.
 * @param key `vault` lives as long as this process, and makes each operation cheaper; `passphrase` is the sandbox's, by which other
 *   programs than this one's read the stack
 */
export async function openOwn(
  world: World,
  options: EngineOptions,
  key: "vault" | "passphrase" = options.stack === undefined ? "passphrase" : "vault",
): Promise<SandboxStack> {
  const providers = await sharedProviders(world);
  if (key === "passphrase") return openStack(world, { ...options, providers });
  vault ??= startVault();
  return openStack(world, { ...options, providers, secrets: await vault });
}

let vault: ReturnType<typeof startVault> | undefined;

let known: World | undefined;

/** The sandbox, up. One that this process knows is only asked whether each part answers, which is a tenth of the work. */
export async function sandboxUp(): Promise<World> {
  const parts = known === undefined ? [] : await statusOf(known);
  if (known === undefined || !parts.every((part) => part.answers)) known = await up();
  return known;
}

let last: { readonly world: World; readonly stack: SandboxStack } | undefined;

/** One for all journeys in this process, as long as the sandbox is the same: opening it takes as long as an operation. */
async function sharedStack(world: World): Promise<SandboxStack> {
  if (last === undefined || !isDeepStrictEqual(last.world, world)) {
    last = { world, stack: await openOwn(world, {}) };
  }
  return last.stack;
}

let running: { readonly store: World["store"]; readonly providers: Providers } | undefined;

/** The stand-ins, and Pulumi's provider of dynamic resources, which live through the operations of all stacks. */
async function sharedProviders(world: World): Promise<Providers> {
  if (running === undefined || !isDeepStrictEqual(running.store, world.store)) {
    const providers = await startProviders({ env: storeEnvironment(world), dynamic: "warm" });
    closeAtEnd(providers.stop);
    providers.unref();
    running = { store: world.store, providers };
  }
  return running.providers;
}
