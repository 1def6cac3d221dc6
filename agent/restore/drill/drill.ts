import type { DrilledEvent } from "../../../common/contracts/agentEvents.ts";
import { BadBackup, Problem } from "../../../common/problem.ts";
import { connectMaintenance, readServer } from "../../postgres/connection.ts";
import type { AgentContext } from "../../runtime/context.ts";
import type { AgentEvent } from "../../runtime/reporter.ts";
import type { RestoreRequest } from "../choice.ts";
import { restore } from "../restore.ts";
import type { DrillRequest } from "./drillRequest.ts";
import { mask } from "./mask.ts";
import { requireThrowAway } from "./throwAwayServer.ts";
import { runChecks } from "./userChecks.ts";

/** What a drill finds out on its way. */
type Findings = Omit<DrilledEvent, "event" | "verdict" | "reason">;

/** What of a backup is restored, and how; each as of a restore. */
export type DrillOptions = Pick<
  RestoreRequest,
  "serverLocale" | "noOwner" | "excludeTable" | "schemaOnly"
>;

/**
 * Restores a backup into a throw-away server by the very code of a restore, roles included, compares it as a restore does,
 * masks it where that is asked for, and runs the user's checks. How it ended is its report, whatever that is.
 * @param wanted `latest` or the stamp of a backup
 * @throws the reason of a run that is stopped
 */
export async function drill(
  context: AgentContext,
  wanted: string,
  { secrets, checks, mask: statements }: DrillRequest,
  options: DrillOptions = {},
): Promise<DrilledEvent> {
  const started = performance.now();
  const found: Findings = {
    database: context.settings.postgres.database,
    from: wanted,
    readMs: null,
    loadMs: null,
    totalMs: 0,
    tables: 0,
    rows: 0,
    compared: false,
    checks: [],
    serverMajor: null,
    notRestored: [],
    masked: 0,
  };
  const seen = { ...context, report: { ...context.report, event: recorder(context, found) } };
  let reason: string | null = null;
  let verdict: DrilledEvent["verdict"] = "passed";
  try {
    found.serverMajor = await majorOfThrowAway(context);
    await restore(seen, {
      wanted,
      secrets,
      globals: options.noOwner !== true,
      allowPrivilegedRoles: true,
      ...options,
      confirm: async () => true,
    });
    const onStep = (step: "mask" | "check", total: number) => (done: number) =>
      context.report.event({
        event: "progress",
        ...{ step, done, total, elapsedMs: elapsedSince(started) },
      });
    if (statements.length > 0) {
      await mask(context, found.database, statements, onStep("mask", statements.length));
      found.masked = statements.length;
    }
    found.checks = await runChecks(context, found.database, checks, onStep("check", checks.length));
    const failed = found.checks.filter(({ passed }) => !passed);
    if (failed.length > 0) {
      verdict = "failed";
      reason = `${failed.length} of ${found.checks.length} checks did not pass.`;
    }
  } catch (error) {
    if (context.signal.aborted || !(error instanceof Problem)) throw error;
    if (found.totalMs === 0) found.totalMs = elapsedSince(started);
    [verdict, reason] = judge(error);
  }
  const drilled: DrilledEvent = { event: "drilled", ...found, verdict, reason };
  context.report.event(drilled);
  for (const line of describe(drilled)) context.report.line(line);
  return drilled;
}

/** A backup that is at fault has failed. Of any other fault nothing follows for the backup. */
function judge(error: Problem): [verdict: "failed" | "couldNotRun", reason: string] {
  return error instanceof BadBackup ? ["failed", error.finding] : ["couldNotRun", error.message];
}

async function majorOfThrowAway({ settings }: AgentContext): Promise<number> {
  const client = await connectMaintenance(settings.postgres, settings.postgres.database);
  try {
    await requireThrowAway(client);
    return (await readServer(client)).major;
  } finally {
    await client.end();
  }
}

/** Takes from the events of the restore what it has measured. Whoever waits for the drill gets its own end, and no restore's. */
function recorder({ report }: AgentContext, found: Findings): (event: AgentEvent) => void {
  return (event) => {
    if (event.event === "restored") {
      const { from, tables, rows, compared, elapsedMs, notRestored } = event;
      Object.assign(found, { from, tables, rows, compared, notRestored, totalMs: elapsedMs });
      return;
    }
    if (event.event === "progress") {
      if (event.step === "download" && event.bytes === event.total) found.readMs = event.elapsedMs;
      if (event.step === "restore" && event.table === undefined) found.loadMs = event.elapsedMs;
    }
    report.event(event);
  };
}

function describe({ database, from, verdict, reason, totalMs, checks }: DrilledEvent): string[] {
  const failed = checks
    .filter(({ passed }) => !passed)
    .map(({ name, line, rows, error }) => `  line ${line}: ${name}: ${error ?? `${rows} rows`}`);
  const took = `${(totalMs / 1000).toFixed(1)} s`;
  const end = {
    passed: `Passed: "${database}" from ${from}, restored and compared in ${took}.`,
    failed: `Failed: "${database}" from ${from}: ${reason}`,
    couldNotRun: `Could not run: ${reason}`,
  };
  return [...failed, end[verdict]];
}

function elapsedSince(started: number): number {
  return Math.round(performance.now() - started);
}
