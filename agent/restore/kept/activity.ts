import { listUnfinished } from "../../../storage/upload/unfinishedUploads.ts";
import type { AgentContext } from "../../runtime/context.ts";
import { errorMessage } from "../../runtime/errorMessage.ts";
import { readWal } from "../../runtime/healthRecord.ts";
import { readRuns } from "../../runtime/runRegistry.ts";
import { readKept } from "./keptDatabases.ts";
import { readRecords } from "./records.ts";

/** As many as `status` shows the last of. */
const RECORDS = 5;

/**
 * Reports what goes on in the container and what is left: running commands, databases of restores, records, uploads. What
 * cannot be found out takes nothing from the rest.
 */
export async function printActivity(
  context: AgentContext,
  stateFolder: string | undefined,
): Promise<void> {
  const { store, report } = context;
  const remarks: string[] = [];
  const orNull = async <T>(what: string, work: () => Promise<T>): Promise<T | null> => {
    try {
      return await work();
    } catch (error) {
      remarks.push(`${what}: ${errorMessage(error)}`);
      return null;
    }
  };
  const [kept, records, uploads] = await Promise.all([
    orNull("databases of restores are not known", () => readKept(context)),
    orNull("earlier restores are not known", () => readRecords(store, RECORDS)),
    orNull("unfinished uploads are not known", () => listUnfinished(store)),
  ]);
  const runs = readRuns(stateFolder);
  report.event({
    event: "activity",
    runs,
    kept,
    records,
    uploads: uploads && { count: uploads.length, oldest: uploads[0]?.begunAt ?? null },
    remarks,
    wal: readWal(stateFolder),
  });
  for (const { words, startedAt } of runs) report.line(`running: ${words}, since ${startedAt}`);
  if (runs.length === 0) report.line("nothing runs");
  for (const one of kept ?? []) report.line(`left by a restore: ${one.name}`);
  for (const { action, database, from, result, startedAt } of records ?? []) {
    report.line(`${startedAt}  ${action} of ${database} from ${from}: ${result}`);
  }
  if (uploads !== null && uploads.length > 0) {
    report.line(`unfinished uploads: ${uploads.length}, the oldest of ${uploads[0]?.begunAt}`);
  }
  for (const remark of remarks) report.warn(remark);
}
