import { Problem } from "../../common/problem.ts";

/** `docker stop` waits ten seconds before it kills; an upload must have been aborted by then. */
const DEADLINE_MS = 8_000;

const CODES = { SIGTERM: 143, SIGINT: 130 } as const;

/**
 * Turns SIGTERM and SIGINT into an abort signal, so that what runs can clean up, within a limit. Further signals change
 * nothing: a second one must not make it leave an upload behind.
 * @returns the signal, the exit code to end with once a signal has come, and `done` to be called at the end
 */
export function stopOnSignal(): {
  readonly signal: AbortSignal;
  readonly exitCode: number | undefined;
  done(): void;
} {
  const controller = new AbortController();
  let exitCode: number | undefined;
  let deadline: NodeJS.Timeout | undefined;
  const listener = (name: "SIGTERM" | "SIGINT") => {
    if (exitCode !== undefined) return;
    exitCode = CODES[name];
    controller.abort(
      new Problem(`stopped by ${name} before it was complete; nothing was stored or changed.`),
    );
    // It must not keep a process alive that has nothing left to do.
    deadline = setTimeout(() => process.exit(CODES[name]), DEADLINE_MS).unref();
  };
  process.on("SIGTERM", listener).on("SIGINT", listener);
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    // The listeners stay: without them a second signal would kill the process on its way out.
    done: () => clearTimeout(deadline),
  };
}
