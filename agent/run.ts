import { deployMayGoOn } from "../common/contracts/deployGate.ts";
import { messageOf, Problem } from "../common/problem.ts";
import { lastDue } from "../common/schedule/nextRun.ts";
import { abortAbandoned } from "../storage/upload/unfinishedUploads.ts";
import { acceptForDeploy, type Deploy, markDeploy } from "./archive/deployMark.ts";
import { type BackupOptions, backup } from "./backup/backup.ts";
import { databasesWithoutBackup, hasBackupSince, missedRun } from "./missedRun.ts";
import { LastLines } from "./notify/lastLines.ts";
import { Notifier } from "./notify/notifier.ts";
import { RunSummary } from "./notify/runSummary.ts";
import { AnotherBackupRuns, waitForBackup } from "./postgres/advisoryLock.ts";
import {
  announceLeftOut,
  forDatabase,
  forEachDatabase,
  selectDatabases,
} from "./postgres/databases.ts";
import { dropMarked } from "./restore/kept/dropMark.ts";
import { type AgentContext, untilStopped } from "./runtime/context.ts";
import { recordResult } from "./runtime/healthRecord.ts";

export interface RunOptions extends BackupOptions {
  /** The one of several databases to back up. @default all of them */
  readonly database?: string;
  /** Started by the scheduler: waits for a backup that is under way, which may count as this run. @default false */
  readonly scheduled?: boolean;
  /** Started by the scheduler for a run that was missed: nothing is done when it has been made meanwhile. @default false */
  readonly catchUp?: boolean;
  /** Only databases of which the bucket has no backup at all; another one under way is waited for. @default all */
  readonly first?: boolean;
  /** Reads each back to its end, whatever the settings say. @default the settings decide */
  readonly verify?: boolean;
  /** A deploy that waits for it: a backup that is young enough counts, and another one under way is waited for. @default none */
  readonly deploy?: Deploy;
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
    redact,
  }: {
    /** Where the health check looks; absent: outside a container. */
    readonly stateFolder: string | undefined;
    /** An error in a sentence, free of secrets. */
    readonly describe: (error: unknown) => string;
    /** Takes the secrets out of a text. */
    readonly redact: (text: string) => string;
  },
): Promise<void> {
  const began = new Date();
  let context: AgentContext | undefined;
  let summary: RunSummary | undefined;
  let notifier: Notifier | undefined;
  const log = new LastLines(redact);
  try {
    context = opened(open(), options, log);
    if (options.catchUp === true && !(await stillMissed(context, describe))) return;
    const missing = await stillToDo(context, options);
    if (missing?.length === 0) {
      if (options.deploy) sayThatDeployMayGoOn(context, options.deploy);
      else context.report.line("Each database has a backup already.");
      return;
    }
    summary = new RunSummary(context.settings, describe);
    notifier = new Notifier(context, summary, { lastLines: () => log.lines, stateFolder });
    notifier.runStarted();
    const names = missing ?? (await selectDatabases(context.settings, options.database));
    for (const name of names) context.journal?.expected(name, `"${name}" was not stored`);
    if (options.database === undefined) await announceLeftOut(context);
    await forEachDatabase(
      context,
      names,
      summary.observe(names, (each) => backupOrWait(each, options, began)),
    );
    if (options.deploy) sayThatDeployMayGoOn(context, options.deploy);
    // Of databases that another run has backed up, that one leaves the result.
    if (names.length > 0 && !summary.anyStored) return;
    if (options.database === undefined) recordResult(stateFolder);
    await sweepUploads(context);
    if (options.scheduled === true) await dropMarked(context, new Date());
    await notifier.runEnded();
  } catch (error) {
    // The other run leaves its own result; this one has none.
    if (error instanceof AnotherBackupRuns) throw error;
    recordResult(stateFolder, describe(error));
    await notifier?.runEnded(describe(error));
    throw error;
  }
}

function opened(given: AgentContext, { verify }: RunOptions, log: LastLines): AgentContext {
  const context = { ...given, report: log.watch(given.report) };
  return verify === true ? { ...context, settings: { ...context.settings, verify } } : context;
}

/**
 * Sends the notices of a run that was killed and could not send its own.
 * @param sentence why it ended
 */
export async function notifyKilled(context: AgentContext, sentence: string): Promise<void> {
  const summary = new RunSummary(context.settings, String);
  const options = { lastLines: () => [], stateFolder: process.env["AGENT_STATE_DIR"] };
  await new Notifier(context, summary, options).runEnded(sentence);
}

/** The databases that this run has to back up; undefined: all that it is about. */
async function stillToDo(
  context: AgentContext,
  options: RunOptions,
): Promise<readonly string[] | undefined> {
  if (options.deploy) return withoutBackup(context, options.deploy, options);
  if (options.first !== true) return undefined;
  const { settings, store } = context;
  return databasesWithoutBackup(store, settings, await selectDatabases(settings, options.database));
}

/** The databases of which no backup is there that the deploy may rely on. */
async function withoutBackup(
  context: AgentContext,
  deploy: Deploy,
  { database }: Pick<RunOptions, "database">,
): Promise<string[]> {
  const missing: string[] = [];
  for (const name of await selectDatabases(context.settings, database)) {
    if (!(await acceptForDeploy(forDatabase(context, name), deploy))) missing.push(name);
  }
  return missing;
}

/** The hook before a deploy looks for this sentence: Kamal ends with 0 on some failures, too. */
function sayThatDeployMayGoOn({ report }: AgentContext, { revision }: Deploy): void {
  report.line(deployMayGoOn(revision));
}

/** What killed runs have left in the buckets. The backup is complete: a failure is a warning. */
async function sweepUploads({ store, copy, report, signal }: AgentContext): Promise<void> {
  for (const each of [store, copy?.store]) {
    if (each === undefined) continue;
    try {
      const aborted = await untilStopped(signal, abortAbandoned(each, new Date()));
      const names = aborted.map(({ key, begunAt }) => `${key} of ${begunAt}`);
      if (names.length > 0) report.warn(`aborted unfinished uploads: ${names.join(", ")}.`);
    } catch (error) {
      // What is left is the next run's.
      if (signal.aborted) return;
      const why = messageOf(error);
      report.warn(`unfinished uploads of earlier runs were not looked for: ${why}`);
    }
  }
}

/**
 * Makes a backup. A scheduled run waits for another one that is under way, and counts only if that has left a good backup which is as
 * young as this run's due time; else it makes its own. So does one for a deploy, by the age that it accepts.
 * @throws Problem when the other one neither ends nor does anything
 */
async function backupOrWait(
  context: AgentContext,
  options: RunOptions,
  began: Date,
): Promise<void> {
  const { settings, store, report, signal } = context;
  const { scheduled = false, first = false, deploy } = options;
  const which = deploy !== undefined ? "deploy" : first ? "first backup" : "scheduled run";
  for (;;) {
    try {
      const { takenAt, object } = await backup(context, options);
      if (deploy === undefined) return;
      const { database } = settings.postgres;
      const stored = { database, stamp: takenAt.replace(/Z$/, ""), key: object.key };
      await markDeploy(context, stored, deploy.revision);
      return;
    } catch (error) {
      if (!(error instanceof AnotherBackupRuns) || !(scheduled || first || deploy)) throw error;
      report.warn(`${error.message} The ${which} waits for it.`);
      if ((await waitForBackup(settings.postgres, signal)) === "idle") {
        throw new Problem(`${error.message} It does nothing, so the ${which} was given up.`);
      }
    }
    if (deploy !== undefined) {
      if (await acceptForDeploy(context, deploy)) return;
      continue;
    }
    const { schedule } = settings;
    const due = schedule && lastDue(schedule, began, { timezone: process.env["TZ"] });
    if (await hasBackupSince(store, settings, settings.postgres.database, due || began)) {
      report.line(`The other backup is good and counts as the ${which}.`);
      return;
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
