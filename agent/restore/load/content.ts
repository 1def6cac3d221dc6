import type { DatabaseProperties } from "../../../common/contracts/manifest.ts";
import { Problem } from "../../../common/problem.ts";
import type { ArchiveContents } from "../../archive/contents.ts";
import type { IndexedArchive } from "../../archive/indexedArchive.ts";
import { withUseList } from "../../archive/useList.ts";
import { connect, endingOnAbort } from "../../postgres/connection.ts";
import type { AgentContext } from "../../runtime/context.ts";
import { makeRoomForSchemas } from "../newDatabase.ts";
import { makeExtensions } from "./extensions.ts";
import { type FailedStatement, loadWhatCanBe } from "./keepGoing.ts";
import { type Load, loadObject } from "./loadArchive.ts";
import { loadParts } from "./parts/loadParts.ts";
import type { Selection } from "./selection.ts";

/** What is loaded, and how. */
export interface ContentLoad extends Load {
  readonly contents: ArchiveContents | undefined;
  readonly selection: Selection;
  readonly keepGoing: boolean;
  /** Reads any part of the archive; or why it is read whole. */
  readonly parts: IndexedArchive | { readonly whole: string };
  readonly ownership: { readonly role: string | null } | null;
  /** What the new database is made like; null: the server's defaults. */
  readonly model: DatabaseProperties | null;
}

/** Words for pg_restore about owners, grants and tablespaces. */
export function placeWords({
  ownership,
  selection,
}: Pick<ContentLoad, "ownership" | "selection">): string[] {
  const spaces = selection.tablespaces ? [] : ["--no-tablespaces"];
  if (ownership === null) return spaces;
  const role = ownership.role === null ? [] : [`--role=${ownership.role}`];
  return [...spaces, "--no-owner", "--no-acl", ...role];
}

/**
 * Fills the new, empty database.
 * @param without numbers of entries that are not loaded now
 * @returns the statements that failed; none without `keepGoing`
 * @throws Problem that also names the state of the live database
 */
export async function loadContent(
  context: AgentContext,
  load: ContentLoad,
  {
    without,
    scratch,
  }: { readonly without: ReadonlySet<number>; readonly scratch: string | undefined },
): Promise<readonly FailedStatement[]> {
  const { contents, selection, keepGoing } = load;
  const words = placeWords(load);
  if (contents === undefined) {
    if (keepGoing) {
      throw new Problem(
        "the backup's table of contents cannot be read, so nothing of it can be loaded; choose another backup from the list. Nothing was changed.",
      );
    }
    await loadObject(context, load, scratch, { words });
    return [];
  }
  const done = await prepare(context, load, contents, without);
  const unwanted = new Set([...selection.leftOut, ...without, ...done]);
  const wanted = (id: number) => !unwanted.has(id);
  if (keepGoing) {
    return loadWhatCanBe(context, { ...load, contents }, scratch, { wanted, words });
  }
  const { parts, jobs } = load;
  if ("toc" in parts) await loadParts(context, load, { archive: parts, wanted, words, jobs });
  else if (unwanted.size === 0) await loadObject(context, load, scratch, { words });
  else {
    await withUseList(contents, wanted, (list) =>
      // Behind the definitions there are rows alone, which may stay unread.
      loadObject(context, load, scratch, {
        words: [...words, ...list],
        startOnly: !selection.rows,
      }),
    );
  }
  return [];
}

/** @returns numbers of the entries that are there already */
async function prepare(
  { settings, signal }: AgentContext,
  { temporaryName, selection, ownership }: ContentLoad,
  contents: ArchiveContents,
  without: ReadonlySet<number>,
): Promise<ReadonlySet<number>> {
  const client = await connect(settings.postgres, temporaryName);
  return endingOnAbort(client, signal, async () => {
    const wanted = (id: number) => !selection.leftOut.has(id) && !without.has(id);
    const there = await makeRoomForSchemas(client, contents);
    const role = ownership?.role ?? null;
    if (role === null) return there;
    const rest = (id: number) => wanted(id) && !there.has(id);
    return new Set([...there, ...(await makeExtensions(client, contents, rest, role))]);
  });
}
