import { setTimeout as sleep } from "node:timers/promises";
import { Problem } from "../../common/problem.ts";
import { isDenied, isMissing } from "../s3/errors.ts";

/** What a look at a key shows after a write: our bytes, others, nothing; or that the key may not look, or could not. */
export type WriteCheck =
  | { readonly found: "ours" | "other" | "nothing" | "denied" }
  | { readonly found: "unknown"; readonly cause: unknown };

/** A service that is only eventually consistent may not show at once what it has acknowledged. */
const PAUSES_MS = [300, 1_500];

/**
 * Looks whether a write has reached the bucket, whatever the answer to it said.
 * @param isOurs asks the service; resolves to whether it holds what was written
 * @param expected the service has acknowledged it: what is not there at first is looked for again, for two seconds
 */
export async function checkWrite(
  isOurs: () => Promise<boolean>,
  { expected }: { readonly expected: boolean },
): Promise<WriteCheck> {
  const pauses = expected ? [...PAUSES_MS] : [];
  for (;;) {
    try {
      return { found: (await isOurs()) ? "ours" : "other" };
    } catch (error) {
      if (isDenied(error)) return { found: "denied" };
      if (!isMissing(error)) return { found: "unknown", cause: error };
    }
    const pause = pauses.shift();
    if (pause === undefined) return { found: "nothing" };
    await sleep(pause);
  }
}

/** Whether a write may have happened although its answer says no, or never came. */
export function isInDoubt(error: unknown): boolean {
  const { httpStatusCode: status, attempts = 1 } =
    (error as { $metadata?: { httpStatusCode?: number; attempts?: number } }).$metadata ?? {};
  // A repeated request may be refused because an earlier one, whose answer was lost, had done the work.
  return status === undefined || status >= 500 || attempts > 1;
}

/** Nobody knows whether the object is there: no answer came to the write, and none to the look that followed. */
export class UncertainWrite extends Problem {}
