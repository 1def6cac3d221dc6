import { constants, openSync, readlinkSync, writeSync } from "node:fs";
import type { Report } from "./reporter.ts";

/** Standard output of the container's first process, which is what `docker logs` shows. */
const LOG = "/proc/1/fd/1";

/**
 * The container's log, for a run that `docker exec` has started: what that one prints goes to whoever started it alone.
 * @returns undefined outside of a container, for a run whose output is the log already, and for a user who may not write it
 */
export function openContainerLog(
  stateFolder = process.env["AGENT_STATE_DIR"],
  log = LOG,
): ((line: string) => void) | undefined {
  if (stateFolder === undefined || stateFolder === "") return undefined;
  let file: number;
  try {
    if (readlinkSync("/proc/self/fd/1") === readlinkSync(log)) return undefined;
    // Never waits: a log that nobody empties must not hold up a restore.
    file = openSync(log, constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK);
  } catch {
    // Another user, or no first process whose output can be opened: the run itself matters more than its trace.
    return undefined;
  }
  return (line) => {
    try {
      writeSync(file, `${line}\n`);
    } catch {
      // EAGAIN: the log is not emptied; EPIPE: it is gone.
    }
  };
}

/**
 * A report whose words stand in the container's log too, with their time and the command's name.
 * @param redact takes the secrets out of a text
 */
export function loggedReport(
  report: Report,
  command: string,
  log: (line: string) => void,
  redact: (text: string) => string,
): Report {
  const note = (text: string) =>
    log(`${new Date().toISOString().slice(0, 19)}Z ${command}: ${redact(text)}`);
  return {
    event: (event) => report.event(event),
    line: (text) => {
      report.line(text);
      note(text);
    },
    warn: (text) => {
      report.warn(text);
      note(text);
    },
    error: (message, stack) => {
      report.error(message, stack);
      note(`error: ${message}`);
    },
  };
}
