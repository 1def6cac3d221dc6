import type pg from "pg";
import type { Manifest } from "../../../common/contracts/manifest.ts";
import { Problem } from "../../../common/problem.ts";
import type { NotRestored } from "../notRestored.ts";
import { quoted, type Requirements } from "./requirements.ts";

/** @throws Problem that names the extensions that are not installed on the server */
export async function requireExtensions(
  client: pg.Client,
  { extensions }: Pick<Requirements, "extensions">,
): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    "SELECT name FROM unnest($1::text[]) AS name WHERE name NOT IN (SELECT name FROM pg_available_extensions) ORDER BY name",
    [[...extensions]],
  );
  if (rows.length === 0) return;
  throw new Problem(
    `the backup needs extensions that this server cannot create: ${quoted(rows.map(({ name }) => name))}. Use the database image that the backup was made with, or install their packages on the server. Nothing was changed.`,
  );
}

/** Notes the extensions that will have another version: a dump names none, so the server makes its own default one. */
export async function noteOtherVersions(
  client: pg.Client,
  {
    manifest,
    needs,
    notRestored,
  }: {
    readonly manifest: Manifest | null;
    readonly needs: Requirements;
    readonly notRestored: NotRestored;
  },
): Promise<void> {
  const { rows } = await client.query<{ name: string; version: string }>(
    "SELECT name, default_version AS version FROM pg_available_extensions WHERE name = ANY ($1)",
    [[...needs.extensions]],
  );
  const versions = new Map(rows.map(({ name, version }) => [name, version]));
  for (const { name, version } of manifest?.extensions ?? []) {
    const made = versions.get(name);
    if (made === undefined || made === version) continue;
    notRestored.add(`the version ${version} of the extension "${name}": this server makes ${made}`);
  }
}
