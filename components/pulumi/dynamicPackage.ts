import * as pulumi from "@pulumi/pulumi";
import { thinProvider } from "../dynamicProvider.ts";

/** What a dynamic resource is declared with, given what its provider gets. */
export type DynamicInputs<T> = { readonly [P in keyof T]: pulumi.Input<T[P]> };

/** Package that every dynamic resource belongs to. */
const PACKAGE = "pulumi-nodejs";

class DynamicProvider extends pulumi.ProviderResource {
  constructor(name: string) {
    super(PACKAGE, name, {});
  }
}

/** One for each stack, because each is a process of its own. */
const made = new WeakMap<pulumi.Resource, DynamicProvider>();

/**
 * The options of a component, with an explicit provider for its dynamic resources where `pulumi:disable-default-providers`
 * takes the default one away: a program cannot be asked for a provider of a package that it never names. One that the
 * program or the parent has is kept.
 */
export function withDynamicProvider(
  opts: pulumi.ComponentResourceOptions = {},
): pulumi.ComponentResourceOptions {
  const stack = pulumi.runtime.getStackResource();
  if (stack === undefined || !isDisabled()) return opts;
  if (opts.parent?.getProvider(`${PACKAGE}:dynamic:Resource`)) return opts;
  const provider = made.get(stack) ?? new DynamicProvider("kamal-postgres-backup");
  made.set(stack, provider);
  // The program's own come last and win.
  return {
    ...opts,
    providers: Array.isArray(opts.providers)
      ? [provider, ...opts.providers]
      : { [PACKAGE]: provider, ...opts.providers },
  };
}

function isDisabled(): boolean {
  const disabled = new pulumi.Config("pulumi").getObject<string[]>("disable-default-providers");
  return disabled?.some((name) => name === "*" || name === PACKAGE) ?? false;
}

const providers = new Map<string, pulumi.dynamic.ResourceProvider>();

/**
 * The provider that hands over to `components/internal/<module>.ts`: one object for each module, because Pulumi turns a
 * provider into text once for each object (`dynamic/index.ts`, `providerCache`), which takes longer than all else that is
 * declared of a resource.
 */
export function providerOf(module: string): pulumi.dynamic.ResourceProvider {
  const provider = providers.get(module) ?? thinProvider(module);
  providers.set(module, provider);
  return provider;
}
