/**
 * Pulumi keeps the stack trace of each promise of its own, in case that one leaks, and an operation makes thousands: a fifth of the
 * components' tests. Here leaks are noticed as ever, and told without one.
 */
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const debuggable = require("@pulumi/pulumi/runtime/debuggable.js") as {
  debuggablePromise<T>(promise: Promise<T>, context: unknown): Promise<T>;
};
const { getStore } = require("@pulumi/pulumi/runtime/state.js") as {
  getStore(): { readonly leakCandidates: Set<unknown> };
};

// The first one has the process look for leaks when it exits.
void debuggable.debuggablePromise(Promise.resolve(), "the first");

Object.assign(debuggable, {
  async debuggablePromise<T>(promise: Promise<T>): Promise<T> {
    const { leakCandidates } = getStore();
    leakCandidates.add(promise);
    try {
      return await promise;
    } finally {
      leakCandidates.delete(promise);
    }
  },
});
