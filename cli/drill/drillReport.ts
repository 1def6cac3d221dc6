import type { DrillRecord } from "../../common/contracts/drillRecord.ts";
import { formatBytes } from "../../common/format.ts";
import { shellQuote } from "../../common/ssh/command.ts";
import { formatDuration, formatStamp, plural } from "../terminal/format.ts";
import { paint } from "../terminal/render.ts";
import type { Screen } from "../terminal/screen.ts";
import { formatRto } from "./judgeDrill.ts";
import type { KeptServer } from "./throwAway.ts";

/** What a drill has come to. */
export interface DrillResult {
  readonly record: DrillRecord;
  /** Size of the backup. */
  readonly bytes: number;
  /** What the restore has not brought back. */
  readonly notRestored: readonly string[];
  /** Name of the file with the checks; undefined: none. */
  readonly checksFile: string | undefined;
  /** Key of the stored record, or why there is none; null: it was not begun, so there is nothing to record. */
  readonly recorded: { readonly key: string } | { readonly failure: string } | null;
  readonly kept: KeptServer | null;
}

/** The steps, and the sentence with the verdict. */
export function printDrill(screen: Screen, result: DrillResult): void {
  const { record, bytes, notRestored, checksFile, recorded, kept } = result;
  const { readMs, loadMs, checks, verdict } = record;
  const passed = checks.filter((check) => check.passed).length;
  const rows = [
    ...(readMs === null ? [] : [["read and checked", formatBytes(bytes), formatDuration(readMs)]]),
    ...(loadMs === null ? [] : [["loaded", "", formatDuration(loadMs)]]),
    ...(record.compared
      ? [
          [
            "compared",
            `${plural(record.tables, "table")}, ${plural(record.rows, "row")}: equal to the snapshot`,
            "",
          ],
        ]
      : []),
    ...(checks.length === 0
      ? []
      : [["your checks", `${passed} of ${checks.length} passed (${checksFile})`, ""]]),
  ];
  if (rows.length > 0) screen.table([{}, {}, { align: "right" }], rows, { indent: 2 });
  for (const { name, line, rows: count, error } of checks.filter((check) => !check.passed)) {
    const found = error ?? (count === null ? "failed" : plural(count, "row"));
    screen.line(`${paint.bad("Did not pass")}: ${name} (line ${line}): ${found}`);
  }
  for (const item of notRestored) screen.line(`${paint.uncertain("Not restored")}: ${item}`);
  screen.line(
    `${VERDICTS[verdict](record)}${recorded !== null && "key" in recorded ? " Recorded." : ""}`,
  );
  if (recorded !== null && "failure" in recorded) {
    screen.warn(`error: the record of this drill was not stored: ${recorded.failure}`);
  }
  if (kept !== null) printKept(screen, kept, record.database);
}

const VERDICTS: Readonly<Record<DrillRecord["verdict"], (record: DrillRecord) => string>> = {
  passed: ({ totalMs, rtoMs }) => {
    const rto = rtoMs === null ? "" : ` (declared RTO: ${formatRto(rtoMs)})`;
    return `${paint.good("Passed")} in ${formatDuration(totalMs)}${rto}.`;
  },
  failed: ({ reason }) => `${paint.bad("Failed")}: ${reason}`,
  couldNotRun: ({ reason }) =>
    `${paint.uncertain("Could not run")}, so nothing is known of the backup: ${reason}`,
};

/** `Drill of shop_production 2026-11-24 03:15:02 into a throw-away PostgreSQL 17` */
export function drillTitle(database: string, stamp: string, server: string): string {
  return `Drill of ${paint.strong(database)} ${formatStamp(stamp)} into a throw-away ${server}`;
}

function printKept(screen: Screen, kept: KeptServer, database: string): void {
  const { reach, remove } = keptCommands(kept, database);
  screen.line("The server stays, without a network. To look at it:");
  screen.exactLine(`  ${reach}`);
  screen.line("To remove it:");
  screen.exactLine(`  ${remove}`);
}

/** The commands for the server that stays. */
export function keptCommands(
  { container, volume, superuser }: KeptServer,
  database: string,
): { readonly reach: string; readonly remove: string } {
  return {
    reach: `docker exec --interactive --tty ${container} psql --username ${shellQuote(superuser)} --dbname ${shellQuote(database)}`,
    remove: `docker rm --force --volumes ${container} && docker volume rm ${volume}`,
  };
}
