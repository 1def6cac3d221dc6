import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { Problem } from "../../common/problem.ts";
import type { PackageOrigin } from "./answers.ts";

/** What npm writes down of an installed package. */
interface InstalledLock {
  readonly packages?: Readonly<Record<string, { readonly resolved?: string }>>;
}

const NAME = "kamal-postgres-backup";

/**
 * What the project depends on so that it gets the very package that was started: the tarball that npx has installed it from, else
 * its version in the registry.
 * @param root folder of the running package
 * @param given what was typed in its place: a tarball or a version
 * @throws Problem where it was started from a checkout, of which no project can depend
 */
export function packageOrigin(root: string, version: string, given?: string): PackageOrigin {
  if (given !== undefined) return originOf(given, resolve(given));
  const modules = dirname(root);
  if (basename(modules) !== "node_modules") {
    throw new Problem(
      "init was started from a checkout, and a project depends on a package. Make one there, npm run build && npm pack ./dist, and start that: npx ./kamal-postgres-backup-VERSION.tgz init. Or name one with --package.",
    );
  }
  const lock = join(modules, ".package-lock.json");
  const { packages = {} } = (
    existsSync(lock) ? JSON.parse(readFileSync(lock, "utf8")) : {}
  ) as InstalledLock;
  const from = packages[`node_modules/${NAME}`]?.resolved ?? "";
  if (!from.startsWith("file:")) return { dependency: version };
  return originOf(from, resolve(dirname(modules), from.slice("file:".length)));
}

function originOf(given: string, path: string): PackageOrigin {
  if (!given.endsWith(".tgz")) return { dependency: given };
  if (existsSync(path)) return { dependency: `file:${basename(path)}`, tarball: path };
  throw new Problem(`${path} is not there any more. Name the package's tarball with --package.`);
}
