import type pg from "pg";
import { Problem } from "../../common/problem.ts";
import { requireNoBackup, takeRestoreLock } from "../postgres/advisoryLock.ts";
import { connectMaintenance } from "../postgres/connection.ts";
import { NotConfirmed } from "../runtime/confirm.ts";
import { type AgentContext, uninterrupted } from "../runtime/context.ts";
import { type Compared, checkRestored } from "./checkRestored.ts";
import { detachSubscriptions } from "./checks/replication.ts";
import { requirePrimary } from "./checks/server.ts";
import type { RestoreRequest } from "./choice.ts";
import { copyProperties } from "./databaseProperties.ts";
import { sweepLeftovers } from "./kept/leftovers.ts";
import { type BoundExtensions, findBoundExtensions, loadBound } from "./load/boundExtensions.ts";
import { loadContent } from "./load/content.ts";
import type { FailedStatement } from "./load/keepGoing.ts";
import { createRestoreDatabase, dropUnfinished } from "./newDatabase.ts";
import { makePlan, type Plan } from "./plan.ts";
import { announce, reportDryRun, reportRestored } from "./restoreReport.ts";
import { makeRoles } from "./roles.ts";
import { swap } from "./swap.ts";

export interface RestoreOptions extends RestoreRequest {
  /** Checks everything and reports what would be done, but changes nothing. @default false */
  readonly dryRun?: boolean;
  /** Asked before anything is made; resolves to false to give up. */
  readonly confirm: (question: string, name: string) => Promise<boolean>;
}

/**
 * Restores a backup into a new database, checks it against the manifest, and only then gives it the live one's name.
 * The live database stays beside it under another name; on any failure it is as before.
 * @returns whether everything was restored that was asked for; only a restore that keeps going ends without it
 * @throws Problem
 */
export async function restore(
  context: AgentContext,
  options: RestoreOptions,
): Promise<{ readonly complete: boolean }> {
  const { settings, report } = context;
  const started = performance.now();
  const database = options.into ?? settings.postgres.database;
  const maintenance = await connectMaintenance(settings.postgres, database);
  try {
    await requirePrimary(maintenance);
    await takeRestoreLock(maintenance);
    const plan = await makePlan(context, maintenance, options);
    const seen = { ...context, store: plan.store };
    announce(report, plan);
    if (options.dryRun === true) {
      await findBoundExtensions(seen, maintenance, plan, plan.roles?.names ?? []);
      plan.notRestored.reportNew(report);
      reportDryRun(report, plan);
      return { complete: true };
    }
    if (
      !(await options.confirm(`Restore ${plan.database} from ${plan.entry.stamp}?`, plan.database))
    ) {
      throw new NotConfirmed();
    }
    context.signal.throwIfAborted();
    if (plan.roles !== null) await makeRoles(maintenance, plan.roles, context, plan.notRestored);
    // First, because trying an extension makes a database of the same name.
    await sweepLeftovers(context, maintenance, plan.database, options.scratch);
    const bound = await findBoundExtensions(seen, maintenance, plan, []);
    plan.notRestored.reportNew(report);
    await createRestoreDatabase(maintenance, settings.postgres, plan.temporaryName, plan.model);
    context.journal?.stays(plan.temporaryName, `the unfinished "${plan.temporaryName}" is left`);
    const result = await loadAndSwap(seen, maintenance, plan, bound, options).catch(
      async (error: unknown) => {
        await dropUnfinished(context, maintenance, plan.temporaryName, error);
        throw error;
      },
    );
    await loadBound(seen, plan, bound);
    reportRestored(report, plan, {
      ...result,
      elapsedMs: Math.round(performance.now() - started),
    });
    return { complete: result.failed.length === 0 && result.differences.length === 0 };
  } finally {
    await maintenance.end();
  }
}

/**
 * Says what has turned out not to be restored since the question, before anything is swapped, and asks once more.
 * @throws Problem when that is not wanted
 */
async function confirmLosses(
  { report }: AgentContext,
  plan: Plan,
  confirm: RestoreOptions["confirm"],
): Promise<void> {
  const isNew = plan.notRestored.unreported.length > 0;
  plan.notRestored.reportNew(report);
  if (!isNew || plan.live === null) return;
  if (await confirm(`Put it in the place of "${plan.database}" all the same?`, plan.database))
    return;
  throw new Problem(
    `not confirmed: "${plan.database}" was not touched, and the new database was dropped.`,
  );
}

/** From the empty database to the finished swap. */
async function loadAndSwap(
  context: AgentContext,
  maintenance: pg.Client,
  plan: Plan,
  bound: BoundExtensions,
  options: RestoreOptions,
): Promise<Compared & { readonly failed: readonly FailedStatement[] }> {
  const { settings, report, signal } = context;
  const { scratch } = options;
  const failed = await loadContent(context, plan, { without: bound.entries, scratch });
  if (plan.database !== settings.postgres.database) {
    await detachSubscriptions(context, plan.temporaryName);
  }
  const compared = await checkRestored(context, plan, bound.entries);
  if (plan.model !== null)
    await copyProperties(maintenance, plan.temporaryName, plan.model, plan.notRestored);
  await confirmLosses(context, plan, options.confirm);
  signal.throwIfAborted();
  if (plan.live !== null) await requireNoBackup(maintenance, plan.database);
  const sessionEnder = await connectMaintenance(settings.postgres, plan.database);
  try {
    // The last moment: a swap that has begun is not cut in two.
    signal.throwIfAborted();
    const closed = await uninterrupted(context, () =>
      swap(maintenance, sessionEnder, {
        temporaryName: plan.temporaryName,
        database: plan.database,
        live: plan.live && { previousName: plan.previousName },
        comment: plan.model?.comment ?? null,
      }),
    );
    if (plan.live !== null) report.line(`Swapped; ${closed} connections were closed.`);
  } finally {
    await sessionEnder.end();
  }
  return { ...compared, failed };
}
