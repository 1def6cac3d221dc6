import { abortAbandoned } from "../storage/upload/unfinishedUploads.ts";
import { type BackupOptions, backup } from "./backup/backup.ts";
import { missedRun } from "./missedRun.ts";
import { Notifier } from "./notify/notifier.ts";
import { RunSummary } from "./notify/runSummary.ts";
import { AnotherBackupRuns } from "./postgres/advisoryLock.ts";
import { forEachDatabase, selectDatabases } from "./postgres/databases.ts";
import type { AgentContext } from "./runtime/context.ts";
import { recordResult } from "./runtime/healthRecord.ts";

export interface RunOptions extends BackupOptions {
  /** The one of several databases to back up. @default all of them */
  readonly database?: string;
  /** Started by the scheduler: a backup that is already under way counts as this run. @default false */
  readonly scheduled?: boolean;
  /** Started by the scheduler for a run that was missed: nothing is done when it has been made meanwhile. @default false */
  readonly catchUp?: boolean;
}

/**
 * One run of the backup command: makes the backup of each database, leaves the result for the health check and sends the
 * notifications. A run of one database out of several leaves only its failure: the last result of the others still holds.
 * @param open reads the settings; its failure is the run's
 * @throws whatever the backup throws
 */
export async function runBackup(
  open: () => AgentContext,
  options: RunOptions,
  {
    stateFolder,
    describe,
  }: {
    /** Where the health check looks; absent: outside a container. */
    readonly stateFolder: string | undefined;
    /** An error in a sentence, free of secrets. */
    readonly describe: (error: unknown) => string;
  },
): Promise<void> {
  let context: AgentContext | undefined;
  let summary: RunSummary | undefined;
  let notifier: Notifier | undefined;
  try {
    context = open();
    if (options.catchUp === true && !(await stillMissed(context, describe))) return;
    summary = new RunSummary(context.settings, describe);
    notifier = new Notifier(context, summary);
    notifier.runStarted();
    const names = await selectDatabases(context.settings, options.database);
    for (const name of names) context.journal?.expected(name, `"${name}" was not stored`);
    await forEachDatabase(
      context,
      names,
      summary.observe(names, (each) => backup(each, options)),
    );
    if (options.database === undefined) recordResult(stateFolder);
    await sweepUploads(context);
    await notifier.runEnded();
  } catch (error) {
    if (error instanceof AnotherBackupRuns) {
      // The other run leaves its own result; this one has none.
      if (options.scheduled !== true) throw error;
      context?.report.warn(`${error.message} It counts as the scheduled run.`);
      if (summary?.anyStored === true) await notifier?.runEnded();
      return;
    }
    recordResult(stateFolder, describe(error));
    await notifier?.runEnded(describe(error));
    throw error;
  }
}

/** What killed runs have left in the buckets. The backup is complete: a failure is a warning. */
async function sweepUploads({ store, copy, report }: AgentContext): Promise<void> {
  for (const each of [store, copy?.store]) {
    if (each === undefined) continue;
    try {
      const aborted = await abortAbandoned(each, new Date());
      const names = aborted.map(({ key, begunAt }) => `${key} of ${begunAt}`);
      if (names.length > 0) report.warn(`aborted unfinished uploads: ${names.join(", ")}.`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      report.warn(`unfinished uploads of earlier runs were not looked for: ${why}`);
    }
  }
}

async function stillMissed(
  { settings, store, report }: AgentContext,
  describe: (error: unknown) => string,
): Promise<boolean> {
  try {
    if (await missedRun(store, settings, new Date(), process.env["TZ"])) return true;
    report.line("the backup that was missed has been made meanwhile, or none was missed");
  } catch (error) {
    // No backup has failed: it is not known whether one is wanted.
    report.warn(`whether a run was missed is not known: ${describe(error)}`);
  }
  return false;
}
