import type * as pulumi from "@pulumi/pulumi";

/**
 * A dynamic provider whose work is done by `components/internal/<module>.ts`.
 *
 * Pulumi stores a dynamic provider as text in the state and runs that text again on every refresh. So the text must
 * never change and never hold logic: each method loads this package's current code and hands over. `process.cwd()` is
 * the program's folder; from there the package resolves by name, installed or as its own checkout.
 */
export function thinProvider(module: string): pulumi.dynamic.ResourceProvider {
  const load = () =>
    process.getBuiltinModule("node:module").createRequire(`${process.cwd()}/x.js`)(
      `kamal-postgres-backup/internal/${module}`,
    );
  return {
    check: (olds, news) => load().check(olds, news),
    create: (inputs) => load().create(inputs),
    read: (id, props) => load().read(id, props),
    diff: (id, olds, news) => load().diff(id, olds, news),
    update: (id, olds, news) => load().update(id, olds, news),
    delete: (id, props) => load().delete(id, props),
  };
}
