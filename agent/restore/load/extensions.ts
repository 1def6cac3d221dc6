import type pg from "pg";
import type { ArchiveContents } from "../../archive/contents.ts";
import { identifier } from "../../postgres/identifiers.ts";
import { errorCode } from "../../runtime/errorMessage.ts";
import { isOfExtension } from "../checks/rehearsal.ts";

/**
 * Makes the schemas and extensions of an archive before the rest is restored as another role: the schemas as that role, the
 * extensions as the connection's, since few roles may make one.
 * @param client connection to the new database
 * @returns numbers of the entries that are made
 */
export async function makeExtensions(
  client: pg.Client,
  { items }: Pick<ArchiveContents, "items">,
  wanted: (id: number) => boolean,
  role: string,
): Promise<ReadonlySet<number>> {
  const made = new Set<number>();
  for (const item of items) {
    if (!wanted(item.id) || (item.type !== "SCHEMA" && !isOfExtension(item))) continue;
    try {
      await client.query(item.type === "SCHEMA" ? `SET ROLE ${identifier(role)}` : "RESET ROLE");
      await client.query(item.sql);
      made.add(item.id);
    } catch (error) {
      // pg_restore will meet the same and tell it.
      if (errorCode(error)?.length !== 5) throw error;
    }
  }
  await client.query("RESET ROLE");
  return made;
}
