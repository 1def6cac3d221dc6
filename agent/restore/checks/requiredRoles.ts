import type pg from "pg";
import { Problem } from "../../../common/problem.ts";
import { quoted, type Requirements } from "./requirements.ts";

/** What a restore can do about roles that the server lacks. */
export interface RoleSources {
  /** Roles that will have been made before the restore. */
  readonly planned: readonly string[];
  /** Whether the backup has roles that could be made. */
  readonly inBackup: boolean;
}

/** Names of the roles that the server has. */
export async function readRoles(client: pg.Client): Promise<Set<string>> {
  const { rows } = await client.query<{ rolname: string }>("SELECT rolname FROM pg_roles");
  return new Set(rows.map(({ rolname }) => rolname));
}

/** Roles that the backup names and that are neither on the server nor to be made. */
export async function missingRoles(
  client: pg.Client,
  { roles }: Requirements,
  { planned }: Pick<RoleSources, "planned">,
): Promise<string[]> {
  const existing = await readRoles(client);
  // A comment of pg_restore has a blank where a name has the end of a line.
  const known = new Set([...existing, ...planned].map((name) => name.replace(/[\r\n]/g, " ")));
  return [...roles]
    .map((role) => [role, role.replace(/[\r\n]/g, " ")] as const)
    .filter(([, name]) => !known.has(name) && !known.has(asUtf8(name)))
    .map(([role]) => role)
    .sort();
}

/**
 * A role's name is bytes, which every database reads in its own encoding: one of a UTF-8 database as a LATIN1 database has it.
 */
function asUtf8(name: string): string {
  return Buffer.from(name, "latin1").toString("utf8");
}

/** The sentence that names them, and how they come to be. */
export function missingRolesProblem(
  missing: readonly string[],
  { inBackup }: Pick<RoleSources, "inBackup">,
): Problem {
  const remedy = inBackup
    ? "Restore with --globals, which makes them without passwords, or create them first."
    : "Create them first: CREATE ROLE.";
  return new Problem(
    `the backup needs roles that this server does not have: ${quoted(missing)}. ${remedy} To restore without them, add --no-owner. Nothing was changed.`,
  );
}
