import type pg from "pg";
import { Problem } from "../../../common/problem.ts";
import { quoted, type Requirements } from "./requirements.ts";

/** @throws Problem that names the extensions that are not installed on the server */
export async function requireExtensions(
  client: pg.Client,
  { extensions }: Requirements,
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
