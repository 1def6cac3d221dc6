/**
 * The state of a running container, as small files in its folder `AGENT_STATE_DIR`, `/dev/shm` in the image: the contract
 * between the agent (agent/runtime/healthRecord.ts), the scheduler (agent/image/run.sh) and the health check that Docker
 * calls (agent/image/agent-health). The folder lies in memory, so the state begins anew with each container. Each file
 * holds one line without secrets; a shell reads it with `read -r`.
 */
export const STATE_FILES = {
  /**
   * What the scheduler does, and since or until when: `waiting EPOCH` until that second, `running EPOCH SECONDS` since it,
   * and for so long at most. Written by run.sh; the health check calls a wait stale that is five minutes past, and a run
   * stuck that is so for a minute.
   */
  scheduler: "agent.scheduler",
  /**
   * How the last run of every database ended: `ok EPOCH`, or `failed EPOCH SENTENCE`. Written by the agent, and by run.sh
   * for an agent that was killed.
   */
  result: "agent.result",
  /** What is wrong with the settings though backups can be made: `SENTENCE`. Written by the agent; a result outweighs it. */
  fault: "agent.fault",
  /** When to make up for a missed run: `EPOCH`, or an empty line for never. Written and read by run.sh. */
  missed: "agent.missed",
  /**
   * Whose failure was reported to a chat and is not over, `alertLine`. Written and read by the agent; absent in a container
   * that has reported nothing, which looks in the bucket instead.
   */
  alert: "agent.alert",
  /**
   * Whether the WAL reaches the bucket: `EPOCH`, when everything that the server had written was there last, and behind it in words why
   * no more comes; of a container that has just started its start. Only where point-in-time recovery is switched on. Written by
   * `agent wal`, first by run.sh; the health check calls it broken when that was ten minutes ago.
   */
  wal: "agent.wal",
  /** The same in figures, for the command line: one JSON object, `WalState`. Written by `agent wal`. */
  walFigures: "agent.wal.figures",
} as const;

/** The line of `agent.alert`: a JSON list of names, in which a line end has no place. */
export function alertLine(failing: Iterable<string>): string {
  return JSON.stringify([...failing]);
}

/** Reads that line; what is none holds nobody. */
export function readAlertLine(text: string): Set<string> {
  try {
    const names: unknown = JSON.parse(text);
    return new Set(Array.isArray(names) ? names.filter((name) => typeof name === "string") : []);
  } catch {
    return new Set();
  }
}

/**
 * Something to know about a bucket that is no failure, which the health check repeats behind its own sentence: `SENTENCE`.
 * One file for each of the buckets that a backup goes to. Written and taken away by the agent.
 */
export const REMARK_FILES = { first: "agent.remark.first", copy: "agent.remark.copy" } as const;

/**
 * What each file begins with that says of a command that it runs, before its process id: one JSON object, see
 * agent/runtime/runRegistry.ts. Written and taken away by the agent.
 */
export const RUN_FILE = "agent.run.";

/**
 * The line of `agent.result`.
 * @param failure why the run failed; of several lines the first one counts; absent: all that was due is good
 */
export function resultLine(ended: Date, failure?: string): string {
  const epoch = Math.floor(ended.getTime() / 1000);
  return failure === undefined ? `ok ${epoch}` : `failed ${epoch} ${failure.split("\n")[0]}`;
}
