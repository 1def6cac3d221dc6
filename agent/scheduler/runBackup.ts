import { deployMayGoOn } from "../../common/contracts/deployGate.ts";

import { acceptForDeploy, type Deploy } from "../archive/deployMark.ts";
import { LastLines } from "../notify/lastLines.ts";
import { Notifier } from "../notify/notifier.ts";
import { RunSummary } from "../notify/runSummary.ts";
import { AnotherBackupRuns } from "../postgres/advisoryLock.ts";
import {
  announceLeftOut,
  forDatabase,
  forEachDatabase,
  selectDatabases,
} from "../postgres/databases.ts";
import { dropMarked } from "../restore/kept/dropMark.ts";
import type { AgentContext } from "../runtime/context.ts";
import { recordResult } from "../runtime/healthRecord.ts";
import { backupOrWait, type WaitOptions } from "./backupOrWait.ts";
import { databasesWithoutBackup, missedRun } from "./missedRun.ts";
import { sweepUploads } from "./sweepUploads.ts";

export interface RunOptions extends WaitOptions {
  /** The one of several databases to back up. @default all of them */
  readonly database?: string;
  /** Started by the scheduler for a run that was missed: nothing is done when it has been made meanwhile. @default false */
  readonly catchUp?: boolean;
  /** Reads each back to its end, whatever the settings say. @default the settings decide */
  readonly verify?: boolean;
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
