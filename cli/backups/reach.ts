import type { Reachable } from "../../common/contracts/pointInTime.ts";
import { Problem } from "../../common/problem.ts";
import { readReachable } from "../../storage/pointInTime/reachable.ts";
import type { Credentials } from "../../storage/s3/credentials.ts";
import { runAgent } from "../session/agentCall.ts";
import type { Session } from "../session/session.ts";
import type { StackChoice } from "../stack/pulumi.ts";
import { bucketTrust, withReader } from "./bucketSource.ts";

/** What can be recovered, and who has looked. */
export interface Reach {
  readonly found: Reachable;
  /** Why the agent could not be asked, so that the bucket was, with this key; absent: it was. */
  readonly instead?: { readonly agentFailure: Problem; readonly key: Credentials };
}

/**
 * Asks the agent which moments can be recovered, and the bucket itself where the agent cannot look.
 * @param moment to be planned, ISO 8601 in UTC, or `latest` @default none
 * @throws Problem with both reasons, where neither can
 */
export async function readReach(
  session: Session,
  stack: StackChoice,
  moment?: string,
): Promise<Reach> {
  const { container, screen } = session;
  let agentFailure: Problem;
  try {
    const args = ["reachable", ...(moment === undefined ? [] : [moment])];
    const { event: _, ...found } = await runAgent(container, args, "reachable", {
      // What cannot be recovered is said here, in the words of whoever asks.
      onStderrLine: () => {},
    });
    return { found };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    agentFailure = error;
  }
  screen.waiting("reading the bucket");
  try {
    const { keys } = await bucketTrust(session, stack);
    return await withReader(session, stack, async (store, key) => ({
      found: await readReachable(store, keys, moment),
      instead: { agentFailure, key },
    }));
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    throw new Problem(
      `${agentFailure.message} The bucket could not be asked either: ${error.message}`,
      { cause: error },
    );
  }
}
