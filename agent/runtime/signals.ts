import { Problem } from "../../common/problem.ts";
import { earlySignal, STOP_SIGNALS } from "./earlySignals.ts";

/** `docker stop` waits ten seconds before it kills; an upload must have been aborted by then. */
const DEADLINE_MS = 8_000;
/** The longest that a run can be limited to: what a timer of Node can wait, 2^31 ms. */
export const LONGEST_LIMIT_HOURS = 596;
/** For what is still being written after the end. */
const LEAVING_MS = 1_000;

/** Exit codes as a shell reports these signals: 128 and the signal's number. */
const CODES = { SIGTERM: 143, SIGINT: 130, SIGHUP: 129, SIGUSR2: 143 } as const;

/** Told by `agent cancel`, to a run that has said that it listens. */
export const CANCEL_SIGNAL = "SIGUSR2";

/** Why a run was stopped from outside, as the beginning of a sentence: `stopped by SIGTERM`. What stands is said behind it. */
export class Stopped extends Problem {}

/** Stops the work of this process, within a limit. */
export interface Stop {
  /** Aborted with a `Stopped` once the run is to end. */
  readonly signal: AbortSignal;
  /** The exit code to end with; undefined until it was stopped. */
  readonly exitCode: number | undefined;
  /**
   * Stops the run as a signal does. The first reason stays; more of them change nothing, since a second one must not make a
   * run leave an upload behind.
   */
  request(why: string, exitCode: number): void;
  /** Does what must not be cut in two: until it has ended, the limit does not end the process. */
  uninterrupted<T>(work: () => Promise<T>): Promise<T>;
  /** Called right before the limit ends the process, to say what is left. */
  onDeadline(say: () => void): void;
  /** Called at the end. */
  done(): void;
}

/** Turns signals into an abort signal, so that what runs can clean up. */
export function stopOnSignal(): Stop {
  const controller = new AbortController();
  let exitCode: number | undefined;
  let deadline: NodeJS.Timeout | undefined;
  let held = 0;
  let overdue = false;
  let say = () => {};
  const end = () => {
    overdue = true;
    if (held > 0) return;
    say();
    process.exit(exitCode);
  };
  const request = (why: string, code: number) => {
    if (exitCode !== undefined) return;
    exitCode = code;
    controller.abort(new Stopped(why));
    // It must not keep a process alive that has nothing left to do.
    deadline = setTimeout(end, DEADLINE_MS).unref();
  };
  const stopBy = (name: (typeof STOP_SIGNALS)[number]) =>
    request(`stopped by ${name}`, CODES[name]);
  for (const name of STOP_SIGNALS) process.on(name, () => stopBy(name));
  const early = earlySignal();
  if (early !== undefined) stopBy(early);
  process.on(CANCEL_SIGNAL, () => request("cancelled from another terminal", CODES[CANCEL_SIGNAL]));
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    request,
    async uninterrupted(work) {
      held += 1;
      try {
        return await work();
      } finally {
        held -= 1;
        // A moment to say how it went; then the limit holds again.
        if (overdue && held === 0) setTimeout(end, DEADLINE_MS).unref();
      }
    },
    onDeadline: (callback) => {
      say = callback;
    },
    // The listeners stay: without them a second signal would kill the process on its way out.
    done: () => {
      clearTimeout(deadline);
      held = Number.POSITIVE_INFINITY;
      // A request that was given up must not keep a stopped process alive until it times out.
      if (exitCode !== undefined) setTimeout(() => process.exit(), LEAVING_MS).unref();
    },
  };
}
