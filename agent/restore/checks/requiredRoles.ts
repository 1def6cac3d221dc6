import type pg from "pg";
import { Problem } from "../../../common/problem.ts";
import { quoted, type Requirements } from "./requirements.ts";

/** Names of the roles that the server has. */
export async function readRoles(client: pg.Client): Promise<Set<string>> {
  const { rows } = await client.query<{ rolname: string }>("SELECT rolname FROM pg_roles");
  return new Set(rows.map(({ rolname }) => rolname));
}

/**
 * @throws Problem that names the roles that are missing
 */
export async function requireRoles(
  client: pg.Client,
  { roles }: Requirements,
  {
    planned,
    inBackup,
  }: {
    /** Roles that will have been made before the restore. */
    readonly planned: readonly string[];
    /** Whether the backup has roles that could be made. */
    readonly inBackup: boolean;
  },
): Promise<void> {
  const existing = await readRoles(client);
  // A comment of pg_restore has a blank where a name has the end of a line.
  const known = new Set([...existing, ...planned].map((name) => name.replace(/[\r\n]/g, " ")));
  const missing = [...roles].filter((role) => !known.has(role)).sort();
  if (missing.length === 0) return;
  const remedy = inBackup
    ? "Restore with --globals, which makes them without passwords, or create them first."
    : "Create them first: CREATE ROLE.";
  throw new Problem(
    `the backup needs roles that this server does not have: ${quoted(missing)}. ${remedy} Nothing was changed.`,
  );
}
