import type { RestoreRecord } from "../../common/contracts/restoreRecord.ts";
import { runAgent } from "../session/agentCall.ts";
import type { Session } from "../session/session.ts";
import { formatDuration } from "../terminal/format.ts";
import { paint, renderTable } from "../terminal/render.ts";

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
  for (const line of renderHistory(records)) screen.line(line);
  screen.document({ host: container.host, records });
}

/** A table; why a try failed stands below its row. */
export function renderHistory(records: readonly RestoreRecord[]): string[] {
  if (records.length === 0) return [];
  const columns = [
    { title: "begun (UTC)" },
    { title: "what" },
    { title: "database" },
    { title: "from" },
    { title: "took", align: "right" },
    { title: "result" },
  ] as const;
  const [titles = "", ...rows] = renderTable(
    columns,
    records.map((record) => [
      record.startedAt.slice(0, 19).replace("T", " "),
      record.action,
      record.database,
      record.from.replace(/(?<=\d)T(?=\d\d:)/, " "),
      formatDuration(record.elapsedMs),
      (record.result === "done" ? paint.good : paint.bad)(record.result),
    ]),
  );
  return [
    titles,
    ...records.flatMap(({ error }, index) => [
      rows[index] ?? "",
      ...(error === null ? [] : [`  ${error}`]),
    ]),
  ];
}
