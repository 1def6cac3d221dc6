import { Problem } from "../../common/problem.ts";
import { lastDue } from "../../common/schedule/nextRun.ts";
import { acceptForDeploy, type Deploy, markDeploy } from "../archive/deployMark.ts";
import { type BackupOptions, backup } from "../backup/backup.ts";
import { AnotherBackupRuns, waitForBackup } from "../postgres/advisoryLock.ts";
import type { AgentContext } from "../runtime/context.ts";
import { hasBackupSince } from "./missedRun.ts";

export interface WaitOptions extends BackupOptions {
  /** Started by the scheduler: waits for a backup that is under way, which may count as this run. @default false */
  readonly scheduled?: boolean;
  /** Only databases of which the bucket has no backup at all; another one under way is waited for. @default all */
  readonly first?: boolean;
  /** A deploy that waits for it: a backup that is young enough counts, and another one under way is waited for. @default none */
  readonly deploy?: Deploy;
}

/**
 * Makes a backup. A scheduled run waits for another one that is under way, and counts only if that has left a good backup which is as
 * young as this run's due time; else it makes its own. So does one for a deploy, by the age that it accepts.
 * @throws Problem when the other one neither ends nor does anything
 */
export async function backupOrWait(
  context: AgentContext,
  options: WaitOptions,
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
