import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ArchiveContents } from "./contents.ts";

/**
 * Words for `pg_restore` to restore only some entries of an archive.
 * @param wanted says of an entry's number whether it is restored
 * @param use is given the words; the list is gone afterwards
 */
export async function withUseList<T>(
  { lines }: Pick<ArchiveContents, "lines">,
  wanted: (id: number) => boolean,
  use: (words: readonly string[]) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "restore-list-"));
  try {
    const file = join(folder, "list");
    const chosen = [...lines].filter(([id]) => wanted(id)).map(([, line]) => line);
    await writeFile(file, `${chosen.join("\n")}\n`, { mode: 0o600 });
    return await use([`--use-list=${file}`]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
