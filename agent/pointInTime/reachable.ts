import { readReachable } from "../../storage/pointInTime/reachable.ts";
import { notReachable, windowText } from "../../storage/pointInTime/refusal.ts";
import { signingKeysOf } from "../archive/trust.ts";
import type { AgentContext } from "../runtime/context.ts";

/**
 * Reports what can be recovered.
 * @param moment to be planned @default none
 * @throws Problem when the key may not list or read
 */
export async function printReachable(
  { settings, store, report }: AgentContext,
  moment?: string,
): Promise<void> {
  const found = await readReachable(store, signingKeysOf(settings), moment);
  report.event({ event: "reachable", ...found });
  for (const window of found.windows) report.line(`Any second from ${windowText(window)}.`);
  if (found.windows.length === 0) report.line("No moment can be recovered.");
  for (const { first, last } of found.gaps) {
    report.line(`WAL is missing: ${first === last ? first : `${first} to ${last}`}.`);
  }
  if (moment !== undefined && found.plan === null) {
    report.warn(notReachable(moment, found).message);
  }
}
