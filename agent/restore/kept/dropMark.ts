import type pg from "pg";
import { formatBytes } from "../../../common/format.ts";
import { messageOf } from "../../../common/problem.ts";
import { takeRestoreLock } from "../../postgres/advisoryLock.ts";
import { connectMaintenance } from "../../postgres/connection.ts";
import { identifier, literal } from "../../postgres/identifiers.ts";
import { type AgentContext, uninterrupted } from "../../runtime/context.ts";
import { dropMark, withDropMark } from "./dropTime.ts";
import { listKept, requireLive } from "./keptDatabases.ts";

/**
 * Marks a database that a restore has just replaced. Without the mark it stays, so that a failure is a warning.
 * @param comment its own
 */
export async function markForDrop(
  { report }: Pick<AgentContext, "report">,
  client: pg.Client,
  name: string,
  { comment, afterMs }: { readonly comment: string | null; readonly afterMs: number },
): Promise<void> {
  const at = new Date(Date.now() + afterMs);
  try {
    const text = literal(withDropMark(comment, at));
    await client.query(`COMMENT ON DATABASE ${identifier(name)} IS ${text}`);
    report.line(
      `The first scheduled backup after ${at.toISOString().slice(0, 16)}Z drops "${name}".`,
    );
  } catch (error) {
    report.warn(
      `"${name}" stays until it is dropped by hand: it could not be marked: ${messageOf(error)}`,
    );
  }
}

/**
 * Drops the kept databases whose time has come, after a good backup. One without the mark, one in use, and one without a
 * live database of its name stay. The backup is complete: a failure is a warning.
 */
export async function dropMarked(context: AgentContext, now: Date): Promise<void> {
  const { settings, report, signal } = context;
  try {
    const client = await connectMaintenance(settings.postgres, "");
    try {
      const marked = await due(client, settings, now);
      if (marked.length === 0) return;
      // A restore or an undo that is running may be about one of them, and lists may have changed before it was locked out.
      await takeRestoreLock(client);
      for (const one of await due(client, settings, now)) {
        signal.throwIfAborted();
        if (one.sessions > 0) {
          report.warn(`"${one.name}" should be dropped, but is in use; the next run tries again.`);
          continue;
        }
        await requireLive(client, one);
        await uninterrupted(context, () => client.query(`DROP DATABASE ${identifier(one.name)}`));
        const size = one.bytes === null ? "" : ` (${formatBytes(one.bytes)})`;
        report.line(`Dropped "${one.name}"${size}, as --drop-after has asked.`);
      }
    } finally {
      await client.end();
    }
  } catch (error) {
    if (signal.aborted) return;
    report.warn(`kept databases whose time has come were not dropped: ${messageOf(error)}`);
  }
}

async function due(client: pg.Client, settings: AgentContext["settings"], now: Date) {
  const kept = await listKept(client, settings);
  return kept.filter(({ kind, comment }) => {
    const at = dropMark(comment);
    return kind !== "unfinished" && at !== undefined && at <= now;
  });
}
