import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join } from "node:path";

/** The checkout that this sandbox belongs to. */
export const checkout = join(import.meta.dirname, "../..");

/** Everything that the sandbox keeps on disk while it is up. */
export const stateDir = join(checkout, ".sandbox");

/** What outlives a sandbox: downloads and images, by version. */
export const cacheDir = join(
  process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"),
  "kamal-postgres-backup",
);

/** Tells the sandboxes of two checkouts on one machine apart: in names of containers, volumes and the service. */
export function sandboxId(path: string): string {
  return createHash("sha256").update(path).digest("hex").slice(0, 4);
}

/** Every container, volume and network of ours carries `kamal-postgres-backup.sandbox=<id>`. */
export const sandboxLabel = "kamal-postgres-backup.sandbox";
