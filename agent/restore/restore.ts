import type pg from "pg";
import { totalRows } from "../../common/contracts/manifest.ts";
import { Problem } from "../../common/problem.ts";
import { requireNoBackup, takeRestoreLock } from "../postgres/advisoryLock.ts";
import { connect, connectMaintenance, endingOnAbort } from "../postgres/connection.ts";
import type { AgentContext } from "../runtime/context.ts";
import { type Report, throttled } from "../runtime/reporter.ts";
import {
  createRestoreDatabase,
  type DatabaseProperties,
  dropRestoreDatabase,
  emptyRestoreDatabase,
  propertyStatements,
} from "./databaseProperties.ts";
import { loadObject } from "./loadArchive.ts";
import type { NotRestored } from "./notRestored.ts";
import { isFullDisk } from "./pgRestore.ts";
import { announce, makePlan, type Plan, type RestoreRequest } from "./plan.ts";
import { makeRoles } from "./roles.ts";
import { compareWithManifest } from "./rowCounts.ts";
import { swap } from "./swap.ts";
import { undoCommand } from "./undo.ts";

export interface RestoreOptions extends RestoreRequest {
  /** Checks everything and reports what would be done, but changes nothing. @default false */
  readonly dryRun?: boolean;
  /** Asked before anything is made; resolves to false to give up. */
  readonly confirm: (question: string, name: string) => Promise<boolean>;
}

/**
 * Restores a backup into a new database, checks it against the manifest, and only then gives it the live one's name.
 * The live database stays beside it under another name; on any failure it is as before.
 * @throws Problem
 */
export async function restore(context: AgentContext, options: RestoreOptions): Promise<void> {
  const { settings, report } = context;
  const started = performance.now();
  const database = options.into ?? settings.postgres.database;
  const maintenance = await connectMaintenance(settings.postgres, database);
  try {
    await takeRestoreLock(maintenance);
    const plan = await makePlan(context, maintenance, options);
    announce(report, plan);
    if (options.dryRun === true) {
      reportDryRun(report, plan);
      return;
    }
    if (
      !(await options.confirm(`Restore ${plan.database} from ${plan.entry.stamp}?`, plan.database))
    ) {
      throw new Problem("not confirmed, so nothing was changed.");
    }
    if (plan.roles !== null) await makeRoles(maintenance, plan.roles, report, plan.notRestored);
    await createRestoreDatabase(maintenance, plan.temporaryName, plan.model);
    const result = await loadAndSwap(context, maintenance, plan, options.scratch).catch(
      async (error: unknown) => {
        await dropUnfinished(context, maintenance, plan.temporaryName, error);
        throw error;
      },
    );
    reportRestored(report, plan, {
      ...result,
      elapsedMs: Math.round(performance.now() - started),
    });
  } finally {
    await maintenance.end();
  }
}

/** From the empty database to the finished swap. */
async function loadAndSwap(
  context: AgentContext,
  maintenance: pg.Client,
  plan: Plan,
  scratchFolder: string | undefined,
) {
  const { settings, report, signal } = context;
  await loadObject(context, plan, scratchFolder);
  const compared = await check(context, plan);
  if (plan.model !== null)
    await copyProperties(maintenance, plan.temporaryName, plan.model, plan.notRestored);
  plan.notRestored.reportNew(report);
  signal.throwIfAborted();
  if (plan.live !== null) await requireNoBackup(maintenance, plan.database);
  const sessionEnder = await connectMaintenance(settings.postgres, plan.database);
  try {
    const closed = await swap(maintenance, sessionEnder, {
      temporaryName: plan.temporaryName,
      database: plan.database,
      live: plan.live && { previousName: plan.previousName },
      comment: plan.live?.comment ?? null,
    });
    if (plan.live !== null) report.line(`Swapped; ${closed} connections were closed.`);
  } finally {
    await sessionEnder.end();
  }
  return compared;
}

/** Everything was checked that can be without changing anything. */
function reportDryRun(report: Report, plan: Plan): void {
  const { entry, manifest, database, live, previousName, roles, notRestored } = plan;
  report.line("Dry run: every check has passed, and nothing was made.");
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

/** What a loaded database needs before it is used. Side by side: both read, and there may be more than one core. */
async function check(context: AgentContext, plan: Plan) {
  const [compared, analyzed] = await Promise.allSettled([
    compare(context, plan),
    analyze(context, plan),
  ]);
  if (compared.status === "rejected") throw compared.reason;
  if (analyzed.status === "rejected") throw analyzed.reason;
  return compared.value;
}

/** Planner statistics are not in a dump; without them the application's first queries would be planned blindly. */
async function analyze(
  { settings, signal }: AgentContext,
  { temporaryName: fresh }: Plan,
): Promise<void> {
  const client = await connect(settings.postgres, fresh);
  await endingOnAbort(client, signal, () => client.query("ANALYZE"));
}

async function compare(
  { settings, report, signal }: AgentContext,
  { temporaryName: fresh, manifest }: Plan,
) {
  if (manifest === null) return { compared: false, tables: 0, rows: 0 };
  const client = await connect(settings.postgres, fresh);
  return endingOnAbort(client, signal, async () => {
    const started = performance.now();
    const total = manifest.tables.length;
    const progress = throttled((done: number) =>
      report.event({
        event: "progress",
        step: "compare",
        done,
        total,
        elapsedMs: elapsedSince(started),
      }),
    );
    const result = await compareWithManifest(client, manifest, progress);
    report.line(
      `Compared ${result.tables} tables, ${result.rows} rows, ${manifest.largeObjects} large objects: equal to the snapshot.`,
    );
    return { compared: true, ...result };
  });
}

/** A setting that the role may not copy is a warning, not a failure: the data is whole, and the old database has it. */
async function copyProperties(
  maintenance: pg.Client,
  name: string,
  model: DatabaseProperties,
  notRestored: NotRestored,
): Promise<void> {
  for (const statement of propertyStatements(name, model)) {
    try {
      await maintenance.query(statement);
    } catch (error) {
      notRestored.add(`${statement} (${error instanceof Error ? error.message : String(error)})`);
    }
  }
}

/** Drops the unfinished database; failing to is a warning, since the cause of the failed restore is what gets thrown. */
async function dropUnfinished(
  { settings, report }: AgentContext,
  maintenance: pg.Client,
  name: string,
  cause: unknown,
): Promise<void> {
  try {
    if (cause instanceof Error && isFullDisk(cause.message)) {
      await emptyRestoreDatabase(settings.postgres, name);
    }
    await dropRestoreDatabase(maintenance, name);
  } catch (error) {
    report.warn(
      `the unfinished database "${name}" could not be dropped (${error instanceof Error ? error.message : String(error)}); the next restore of this backup will.`,
    );
  }
}

function reportRestored(
  report: Report,
  plan: Plan,
  result: { compared: boolean; tables: number; rows: number; elapsedMs: number },
): void {
  const previous = plan.live === null ? null : plan.previousName;
  const undo = previous === null ? null : undoCommand(previous);
  report.event({
    event: "restored",
    database: plan.database,
    from: plan.entry.stamp,
    previous,
    undo,
    ...result,
    notRestored: plan.notRestored.items,
  });
  report.line(
    result.compared
      ? `Restored "${plan.database}" from ${plan.entry.stamp}.`
      : `Restored "${plan.database}" from ${plan.entry.stamp}; nothing could be compared.`,
  );
  plan.notRestored.reportAll(report);
  if (undo !== null) {
    report.line(`The old database is "${previous}". To swap back: agent ${undo}`);
  }
}

function elapsedSince(started: number): number {
  return Math.round(performance.now() - started);
}
