import { accessSync, constants, existsSync, readFileSync, statSync } from "node:fs";
import { basename, delimiter, dirname, join, resolve } from "node:path";
import { Problem } from "../../common/problem.ts";
import { stateBackend } from "../stack/pulumi.ts";
import type { PackageOrigin } from "./answers.ts";

/** Whether a program is on PATH. */
export function isOnPath(program: string, path: string | undefined): boolean {
  return (path ?? "").split(delimiter).some((folder) => isExecutable(join(folder, program)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** How Pulumi is set up on this machine. */
export type PulumiSetup =
  | { readonly state: "missing" }
  /** `local`: the state of stacks is in files of this machine, as `pulumi login --local` has it. */
  | { readonly state: "not logged in" }
  | { readonly state: "ready"; readonly needsPassphrase: boolean };

/** @param cwd any folder that is there */
export async function pulumiSetup(
  cwd: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<PulumiSetup> {
  if (!isOnPath("pulumi", env["PATH"])) return { state: "missing" };
  const backend = await stateBackend(cwd);
  if (backend === undefined) return { state: "not logged in" };
  // Pulumi's own service keeps a key for each stack; elsewhere a passphrase does, unless a provider of keys was named.
  return { state: "ready", needsPassphrase: !/^https?:/.test(backend) };
}

/** The state in the files of this machine, without a login: what `pulumi login --local` selects. */
export const LOCAL_STATE = { PULUMI_BACKEND_URL: "file://~" } as const;

/** Whether Pulumi finds a passphrase by itself. */
export function hasPassphrase(env: Readonly<Record<string, string | undefined>>): boolean {
  return Boolean(env["PULUMI_CONFIG_PASSPHRASE"] || env["PULUMI_CONFIG_PASSPHRASE_FILE"]);
}

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
