import { passwordStatement } from "../../common/contracts/agentEvents.ts";
import { totalRows } from "../../common/contracts/manifest.ts";
import { formatBytes } from "../../common/format.ts";
import type { Report } from "../runtime/reporter.ts";
import type { Compared } from "./checkRestored.ts";
import { describeOccupant } from "./checks/occupants.ts";
import { undoCommand } from "./kept/undo.ts";
import { describeFailed, type FailedStatement } from "./load/keepGoing.ts";
import type { Plan } from "./plan.ts";
import { announceRoles } from "./roles.ts";

/** Reports what will happen. */
export function announce(report: Report, plan: Plan): void {
  const { entry, manifest, database, live, previousName, workers, roles, notRestored, parts } =
    plan;
  report.line(
    `Restoring "${database}" from ${entry.stamp} UTC (${formatBytes(entry.bytes)}, ${entry.key}).`,
  );
  report.line(
    live === null
      ? `There is no database "${database}" now; it appears when its content has been checked.`
      : `The current database stays as "${previousName}"; until the swap, which closes its connections and may refuse a new one once, it is not touched.`,
  );
  const room = manifest?.databaseBytes ?? 0;
  if (room > 0) {
    report.line(
      `The new database takes ${plan.selection.leftOut.size > 0 ? "at most" : "about"} ${formatBytes(room)} on the server's disk, beside what is there.`,
    );
  }
  if ("whole" in parts && plan.scratch === undefined) {
    report.line(`The backup is read whole by one connection: ${parts.whole}.`);
  }
  report.line(
    `It is stopped, before the swap at the latest, when it takes longer than ${plan.limitHours} h (--max-hours).`,
  );
  if (workers.length > 0) {
    report.line(
      `The swap also ends ${workers.map(describeOccupant).join(", ")}, which the server starts again, or only when it is restarted: that is looked at.`,
    );
  }
  if (roles !== null) announceRoles(report, roles, notRestored);
  if (manifest === null) {
    report.warn(
      `${entry.key} was written by the old image without a manifest: pg_restore's own result is checked, but there is nothing to compare the data with.`,
    );
  }
  notRestored.reportNew(report);
}

/** Everything was checked that can be without changing anything. */
export function reportDryRun(report: Report, plan: Plan): void {
  const { entry, manifest, database, live, previousName, roles, notRestored } = plan;
  report.line("Dry run: every check has passed, and nothing was changed.");
  report.event({
    event: "planned",
    database: database,
    from: entry.stamp,
    key: entry.key,
    bytes: entry.bytes,
    previous: live === null ? null : previousName,
    tables: manifest?.tables.length ?? null,
    rows: manifest === null ? null : totalRows(manifest),
    roles: roles?.names ?? [],
    notRestored: notRestored.items,
  });
}

/** How the archive is read. */
function wayOf({ parts, scratch }: Plan): "parts" | "stream" | "scratch" {
  if ("toc" in parts) return "parts";
  return scratch === undefined ? "stream" : "scratch";
}

/** Reports what was done. */
export function reportRestored(
  report: Report,
  plan: Plan,
  result: Compared & {
    readonly failed: readonly FailedStatement[];
    readonly loginRoles: readonly string[];
    readonly server: string | null;
    readonly elapsedMs: number;
  },
): void {
  const previous = plan.live === null ? null : plan.previousName;
  const undo = previous === null ? null : undoCommand(previous);
  report.event({
    event: "restored",
    database: plan.database,
    from: plan.entry.stamp,
    previous,
    undo,
    way: wayOf(plan),
    ...result,
    notRestored: plan.notRestored.items,
  });
  const what = `"${plan.database}" from ${plan.entry.stamp}`;
  const failed = result.failed.length;
  if (failed + result.differences.length > 0) {
    report.line(
      `Restored what could be loaded into ${what}: ${failed} statement${failed === 1 ? "" : "s"} failed, ${result.differences.length} of ${result.tables} tables differ.`,
    );
    for (const statement of result.failed) report.line(`  failed: ${describeFailed(statement)}`);
  } else {
    report.line(
      result.compared ? `Restored ${what}.` : `Restored ${what}; nothing could be compared.`,
    );
  }
  plan.notRestored.reportAll(report);
  if (result.loginRoles.length > 0) {
    report.line("Roles that may log in and have no password yet:");
    for (const role of result.loginRoles) report.line(`  ${passwordStatement(role)}`);
  }
  if (undo !== null) {
    report.line(`The old database is "${previous}". To swap back: agent ${undo}`);
  }
}
