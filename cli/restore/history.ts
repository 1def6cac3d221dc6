import type { RestoreRecord } from "../../common/contracts/restoreRecord.ts";
import { runAgent } from "../session/agentCall.ts";
import type { Session } from "../session/session.ts";
import { formatDuration } from "../terminal/format.ts";
import { paint } from "../terminal/render.ts";
import type { Screen } from "../terminal/screen.ts";

/** Shows what was restored and undone, or tried, newest first. */
export async function history({ container, screen }: Session): Promise<void> {
  const { records } = await runAgent(container, ["history"], "history", {
    onStderrLine: (line) => screen.warn(line),
  });
  if (records.length === 0) {
    screen.line(
      "Nothing was restored or undone yet, or the bucket's rules have expired its records.",
    );
  }
  printHistory(screen, records);
  screen.document({ host: container.host, records });
}

/** Why a try failed stands below its row. */
function printHistory(screen: Screen, records: readonly RestoreRecord[]): void {
  const columns = [
    { title: "begun (UTC)" },
    { title: "what", heads: true },
    { title: "database", heads: true },
    { title: "from" },
    { title: "took", align: "right" },
    { title: "result" },
  ] as const;
  const rows = records.map((record) => [
    record.startedAt.slice(0, 19).replace("T", " "),
    record.action,
    record.database,
    record.from.replace(/(?<=\d)T(?=\d\d:)/, " "),
    formatDuration(record.elapsedMs),
    (record.result === "done" ? paint.good : paint.bad)(record.result),
  ]);
  if (rows.length === 0) return;
  screen.table(columns, rows, { notes: records.map(({ error }) => error ?? undefined) });
}
