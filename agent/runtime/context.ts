import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import { Problem } from "../../common/problem.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import type { Journal } from "./journal.ts";
import type { Report } from "./reporter.ts";

/** The buckets that a backup goes to: the one of `S3_...`, and the second one of `COPY_S3_...`. */
export type DestinationName = "first" | "copy";

/** The backup itself is good: what has failed is about the copies alone. */
export class CopyFailed extends Problem {}

/** What every command of the agent works with. */
export interface AgentContext {
  readonly settings: AgentSettings;
  readonly store: ObjectStore;
  /** The second bucket, if there is one. */
  readonly copy?: CopyDestination;
  readonly report: Report;
  /** Ends the run: an upload is aborted and nothing becomes visible. */
  readonly signal: AbortSignal;
  /** What the run has done that stays, for the sentence of one that is stopped. @default nobody asks */
  readonly journal?: Journal;
  /**
   * Stops the run, as a signal does, when it has gone on for so long from now.
   * @param setting what gives another limit, for the sentence: `BACKUP_MAX_RUN_HOURS`
   * @default it goes on
   */
  readonly stopAfter?: (hours: number, setting: string) => void;
  /** Does what must not be cut in two by the limit of a run that is stopped. @default there is no limit */
  readonly uninterrupted?: <T>(work: () => Promise<T>) => Promise<T>;
}

/** The second bucket, which gets what the first one gets; or why it cannot be used. */
export type CopyDestination = OpenCopy | FaultyCopy;

interface OpenCopy {
  readonly store: ObjectStore;
  readonly fault?: never;
  /** When a copy is due; absent: with each backup. */
  readonly every?: string;
  /** Its copies go into folders by calendar. */
  readonly tiers: boolean;
  /** Warns, once in a process, that its key may not list the bucket and what follows from that. */
  readonly warnNotListable: () => void;
}

/** Its settings are wrong. A backup goes on without it, and fails as it does when the copy's service fails. */
interface FaultyCopy {
  readonly store?: never;
  readonly fault: Problem;
}

/**
 * Waits for work that only reads, and no longer than until the run is stopped: a service may take its time to answer.
 * @param discard gets what comes too late
 * @throws the signal's reason
 */
export async function untilStopped<T>(
  signal: AbortSignal,
  work: Promise<T>,
  discard: (late: T) => void = () => {},
): Promise<T> {
  const stopped = Promise.withResolvers<never>();
  const stop = () => stopped.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    signal.throwIfAborted();
    return await Promise.race([work, stopped.promise]);
  } catch (error) {
    work.then(discard, () => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Does what must not be cut in two. */
export function uninterrupted<T>(context: AgentContext, work: () => Promise<T>): Promise<T> {
  return context.uninterrupted === undefined ? work() : context.uninterrupted(work);
}
