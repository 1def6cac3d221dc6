/** What ends a run from outside; Node's own answer is to end without a word. */
export const STOP_SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

let first: (typeof STOP_SIGNALS)[number] | undefined;

// On import: what else the program loads takes a large part of a second, in which a container may be stopped as well.
for (const name of STOP_SIGNALS) {
  process.on(name, () => {
    first ??= name;
  });
}

/** The first signal so far; undefined: none has come. */
export function earlySignal(): (typeof STOP_SIGNALS)[number] | undefined {
  return first;
}
