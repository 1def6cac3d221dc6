import type pg from "pg";
import { Problem } from "../../common/problem.ts";
import { requireNoBackup, takeRestoreLock } from "../postgres/advisoryLock.ts";
import { connectMaintenance } from "../postgres/connection.ts";
import { readSystemIdentifier } from "../postgres/snapshot.ts";
import { type Confirm, NotConfirmed } from "../runtime/confirm.ts";
import { type AgentContext, uninterrupted, untilStopped } from "../runtime/context.ts";
import { type Compared, checkRestored } from "./checkRestored.ts";
import { findLostWorkers } from "./checks/occupants.ts";
import { detachSubscriptions } from "./checks/replication.ts";
import { requirePrimary } from "./checks/server.ts";
import type { RestoreRequest } from "./choice.ts";
import { markForDrop } from "./kept/dropMark.ts";
import { sweepLeftovers } from "./kept/leftovers.ts";
import { type BoundExtensions, findBoundExtensions, loadBound } from "./load/boundExtensions.ts";
import { loadContent } from "./load/content.ts";
import { findEventTriggers, makeEventTriggers } from "./load/eventTriggers.ts";
import type { FailedStatement } from "./load/keepGoing.ts";
import { createRestoreDatabase, dropUnfinished } from "./newDatabase.ts";
import { makePlan, type Plan } from "./plan.ts";
import { copyProperties } from "./properties/databaseProperties.ts";
import { withLiveChanges } from "./properties/plannedProperties.ts";
import { announce, reportDryRun, reportRestored } from "./restoreReport.ts";
import { makeRoles } from "./roles.ts";
import { swap } from "./swap.ts";

export interface RestoreOptions extends RestoreRequest {
  /** Checks everything and reports what would be done, but changes nothing. @default false */
  readonly dryRun?: boolean;
  /** Milliseconds after which a scheduled run may drop the database that was replaced. @default it stays */
  readonly dropAfterMs?: number | undefined;
  /** Asked before anything is made, and again where more is lost than was known then; resolves to false to give up. */
  readonly confirm: Confirm;
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
    const { signal } = context;
    const plan = await untilStopped(signal, makePlan(context, maintenance, options));
    context.stopAfter?.(plan.limitHours, "--max-hours");
    const seen = { ...context, store: plan.store };
    announce(report, plan);
    // Before the question: what the server refuses, and what it cannot give, are reasons for the answer.
    let bound = await untilStopped(
      signal,
      findBoundExtensions(seen, maintenance, plan, plan.roles?.names ?? []),
    );
    plan.notRestored.reportNew(report);
    if (options.dryRun === true) {
      reportDryRun(report, plan);
      return { complete: true };
    }
    const question = `Restore ${plan.database} from ${plan.entry.stamp}?`;
    if (!(await options.confirm(question, plan.database, plan.notRestored.takeUnasked()))) {
      throw new NotConfirmed();
    }
    context.signal.throwIfAborted();
    let loginRoles: readonly string[] = [];
    if (plan.roles !== null) {
      loginRoles = await makeRoles(maintenance, plan.roles, context, plan.notRestored);
      // What names them could not be tried without them.
      bound = await findBoundExtensions(seen, maintenance, plan, []);
    }
    await confirmLosses(context, plan, options.confirm, "");
    await sweepLeftovers(context, maintenance, plan.database, options.scratch);
    context.journal?.stays(plan.temporaryName, `an empty "${plan.temporaryName}" may be left`);
    try {
      await createRestoreDatabase(maintenance, settings.postgres, plan.temporaryName, plan.model);
    } catch (error) {
      // It says itself what is left.
      context.journal?.withdrawn(plan.temporaryName);
      throw error;
    }
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
      loginRoles,
      server: await readSystemIdentifier(maintenance),
      elapsedMs: Math.round(performance.now() - started),
    });
    return { complete: result.failed.length === 0 && result.differences.length === 0 };
  } finally {
    await maintenance.end();
  }
}

/**
 * Says what has turned out not to be restored since the question before, and asks once more where it would take the live
 * database's place.
 * @param undone what has been taken back when that is not wanted, as the end of a sentence
 * @throws Problem when that is not wanted
 */
async function confirmLosses(
  { report }: AgentContext,
  { notRestored, database, live }: Plan,
  confirm: Confirm,
  undone: string,
): Promise<void> {
  notRestored.reportNew(report);
  const losses = notRestored.takeUnasked();
  if (losses.length === 0 || live === null) return;
  if (await confirm(`Put it in the place of "${database}" all the same?`, database, losses)) return;
  throw new Problem(`not confirmed: "${database}" was not touched${undone}.`);
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
  const eventTriggers = findEventTriggers(plan, bound.entries);
  const later = new Set([...bound.entries, ...eventTriggers]);
  const failed = await loadContent(context, plan, { without: later, scratch });
  if (plan.database !== settings.postgres.database) {
    await detachSubscriptions(context, plan.temporaryName);
  }
  const compared = await checkRestored(context, plan, later);
  const more = await makeEventTriggers(context, plan, eventTriggers);
  const owner = plan.ownership?.role ?? undefined;
  const model = await withLiveChanges(maintenance, plan, plan.database, owner);
  if (model !== null) {
    await copyProperties(maintenance, plan.temporaryName, model, plan.notRestored);
  }
  await confirmLosses(context, plan, options.confirm, ", and the new database was dropped");
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
        comment: model?.comment ?? null,
      }),
    );
    context.journal?.stays(plan.temporaryName, `"${plan.database}" is the restored database`);
    if (plan.live !== null) report.line(`Swapped; ${closed} connections were closed.`);
    const { dropAfterMs: afterMs } = options;
    if (plan.live !== null && afterMs !== undefined) {
      const { comment } = plan.live;
      await markForDrop(context, maintenance, plan.previousName, { comment, afterMs });
    }
    for (const worker of await findLostWorkers(sessionEnder, plan.workers)) {
      plan.notRestored.add(worker);
    }
  } finally {
    await sessionEnder.end();
  }
  return { ...compared, failed: [...failed, ...more] };
}
