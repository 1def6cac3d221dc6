import type pg from "pg";
import { messageOf, Problem } from "../../../common/problem.ts";
import { describeItem } from "../../archive/contents.ts";
import { connect, endingOnAbort } from "../../postgres/connection.ts";
import type { AgentContext } from "../../runtime/context.ts";
import { errorCode } from "../../runtime/errorMessage.ts";
import { isOfEventTrigger, withoutOwner } from "../checks/rehearsal.ts";
import type { ContentLoad } from "./content.ts";
import type { FailedStatement } from "./keepGoing.ts";
import { notRestored } from "./loadArchive.ts";

/**
 * Numbers of the entries of event triggers, which are made when everything else has been loaded and looked at: what they do at a
 * REFRESH MATERIALIZED VIEW of pg_restore, or, since PostgreSQL 17, at a login of ours, was not in the snapshot.
 * @param without numbers of entries that are not made now in any case
 */
export function findEventTriggers(
  { contents, selection }: Pick<ContentLoad, "contents" | "selection">,
  without: ReadonlySet<number>,
): ReadonlySet<number> {
  const items = (contents?.items ?? []).filter(isOfEventTrigger);
  // Text that could not be read can only be restored by pg_restore.
  if (items.some(({ sql }) => sql.includes("\uFFFD"))) return new Set();
  const ids = items.map(({ id }) => id);
  return new Set(ids.filter((id) => !without.has(id) && !selection.leftOut.has(id)));
}

/**
 * Makes event triggers in the new database, as the connection's role: only superusers may own one.
 * @returns the statements that failed; none without `keepGoing`
 * @throws Problem that also names the state of the live database
 */
export async function makeEventTriggers(
  { settings, signal }: AgentContext,
  load: ContentLoad,
  entries: ReadonlySet<number>,
): Promise<readonly FailedStatement[]> {
  const items = (load.contents?.items ?? []).filter(({ id }) => entries.has(id));
  if (items.length === 0) return [];
  const client = await connect(settings.postgres, load.temporaryName);
  return endingOnAbort(client, signal, async () => {
    const failed: FailedStatement[] = [];
    for (const item of items) {
      const why = await refusal(client, item.sql);
      if (why === null) continue;
      const entry = describeItem(item);
      if (!load.keepGoing) {
        throw notRestored(new Problem(`${entry}: ${why}.`), load, ` ${load.wayOut}`);
      }
      const [rest, owner] = withoutOwner(item.sql);
      const isThere = owner !== "" && (await refusal(client, rest)) === null;
      const statement = isThere ? owner : item.sql;
      failed.push({ entry, statement, error: why, outcome: "left out" });
    }
    return failed;
  });
}

/** @returns why the server refuses the statements, of which none is done then; null: all are */
async function refusal(client: pg.Client, sql: string): Promise<string | null> {
  try {
    await client.query(sql);
    return null;
  } catch (error) {
    if (errorCode(error)?.length !== 5) throw error;
    return messageOf(error);
  }
}
