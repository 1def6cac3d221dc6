import type { AgentSettings } from "../../common/contracts/agentEnvironment/environment.ts";
import type { Problem } from "../../common/problem.ts";
import type { ObjectStore } from "../../storage/s3/objectStore.ts";
import type { Report } from "./reporter.ts";

/** What every command of the agent works with. */
export interface AgentContext {
  readonly settings: AgentSettings;
  readonly store: ObjectStore;
  /** The second bucket, if there is one. */
  readonly copy?: CopyPlace;
  readonly report: Report;
  /** Ends the run: an upload is aborted and nothing becomes visible. */
  readonly signal: AbortSignal;
}

/** The second bucket, which gets what the first one gets; or why it cannot be used. */
export type CopyPlace = OpenCopy | FaultyCopy;

interface OpenCopy {
  readonly store: ObjectStore;
  readonly fault?: never;
  /** When a copy is due; absent: with each backup. */
  readonly every?: string;
  /** Its copies go into folders by calendar. */
  readonly tiers: boolean;
  /** Says, once in a process, that its key may not list and what follows from that. */
  readonly sayUnlisted: () => void;
}

/** Its settings are wrong. A backup goes on without it, and fails as it does when the copy's service fails. */
interface FaultyCopy {
  readonly store?: never;
  readonly fault: Problem;
}
