import { messageOf } from "../../common/problem.ts";
import { abortAbandoned } from "../../storage/upload/unfinishedUploads.ts";
import { type AgentContext, untilStopped } from "../runtime/context.ts";

/** What killed runs have left in the buckets. The backup is complete: a failure is a warning. */
export async function sweepUploads({ store, copy, report, signal }: AgentContext): Promise<void> {
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
