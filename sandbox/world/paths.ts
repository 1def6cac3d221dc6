import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** The checkout that this sandbox belongs to. */
export const checkout = join(import.meta.dirname, "../..");

/**
 * A second sandbox of the checkout has a name, so that it can be up beside the first: `SANDBOX_NAME=second npm run sandbox up`.
 * Empty for the first.
 */
export const sandboxName = process.env["SANDBOX_NAME"] ?? "";

const STATE = ".sandbox";

export const stateFolder = (name: string) =>
  join(checkout, name === "" ? STATE : `${STATE}-${name}`);

/** Everything that the sandbox keeps on disk while it is up. */
export const stateDir = stateFolder(sandboxName);

/** Names of the other sandboxes that have a folder in this checkout. */
export function otherSandboxes(): string[] {
  return readdirSync(checkout)
    .filter((name) => name === STATE || name.startsWith(`${STATE}-`))
    .map((name) => name.slice(STATE.length + 1))
    .filter((name) => name !== sandboxName);
}

/** What outlives a sandbox: downloads and images, by version. */
export const cacheDir = join(
  process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
  "kamal-postgres-backup",
);

/** Tells the sandboxes of one machine apart, of two checkouts and in one: in names of containers, volumes and the service. */
export function sandboxId(path: string, name = sandboxName): string {
  const place = name === "" ? path : `${path}\0${name}`;
  return createHash("sha256").update(place).digest("hex").slice(0, 4);
}

/** Every container, volume and network of ours carries `kamal-postgres-backup.sandbox=<id>`. */
export const sandboxLabel = "kamal-postgres-backup.sandbox";
